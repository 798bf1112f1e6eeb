#include <arpa/inet.h>
#include <dirent.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <random>
#include <set>
#include <string>

#include "fake_daemon.h"
#include "module_functions.h"
#include "table_in_memory.h"

namespace mutua {
namespace {

using std::chrono::steady_clock;

mutua_local_response found(unsigned addresses, const char* name = "blog.fed.example",
                           int family = AF_INET) {
  mutua_local_response response{};
  response.magic = MUTUA_LOCAL_RESPONSE_MAGIC;
  response.status = MUTUA_LOCAL_FOUND;
  response.family = static_cast<std::uint32_t>(family);
  response.ttl = 60;
  response.address_count = addresses;
  response.name_length = static_cast<std::uint32_t>(std::strlen(name));
  std::strcpy(response.name, name);
  for (unsigned i = 0; i < addresses; ++i) {
    response.address[i][0] = 127;
    response.address[i][3] = static_cast<std::uint8_t>(i + 1);
  }
  return response;
}

mutua_local_response status(mutua_local_status status) {
  mutua_local_response response{};
  response.magic = MUTUA_LOCAL_RESPONSE_MAGIC;
  response.status = status;
  return response;
}

FakeDaemon::Reply always(const mutua_local_response& response) {
  return [octets = bytes_of(response)](const mutua_local_request&) { return octets; };
}

// A buffer of exactly `size` octets at any alignment; a sanitizer guards its end.
struct Buffer {
  Buffer(std::size_t size, std::size_t offset)
      : octets(new char[size + offset]), start(octets.get() + offset) {}
  std::unique_ptr<char[]> octets;
  char* start;
};

bool lies_within(const void* pointer, std::size_t size, const char* buffer,
                 std::size_t buffer_size) {
  const auto* start = static_cast<const char*>(pointer);
  return start >= buffer && start + size <= buffer + buffer_size;
}

template <typename T>
bool is_aligned(const T* pointer) {
  return reinterpret_cast<std::uintptr_t>(pointer) % alignof(T) == 0;
}

std::set<std::string> open_descriptors() {
  std::set<std::string> names;
  DIR* folder = opendir("/proc/self/fd");
  while (const dirent* entry = readdir(folder)) names.insert(entry->d_name);
  closedir(folder);
  return names;
}

class NssModule : public testing::Test {
 protected:
  SocketFolder folder_;
  int errno_ = 0, h_errno_ = 0;
  char buffer_[2048];
  hostent host_{};

  nss_status by_name(const char* name, int family = AF_INET) {
    return _nss_mutua_gethostbyname2_r(name, family, &host_, buffer_, sizeof buffer_, &errno_,
                                       &h_errno_);
  }
};

TEST_F(NssModule, WithoutADaemonItIsUnavailableAtOnce) {
  const auto begun = steady_clock::now();
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(by_name("blog.fed.example"), NSS_STATUS_UNAVAIL);
  EXPECT_LT(steady_clock::now() - begun, std::chrono::seconds(1));
  EXPECT_EQ(errno_, ENOENT);
  EXPECT_EQ(h_errno_, NO_RECOVERY);
}

TEST_F(NssModule, ASocketThatNobodyServesIsUnavailableAtOnce) {
  const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM, 0));
  const sockaddr_un address{AF_UNIX, MUTUA_LOCAL_SOCKET_NAME};
  ASSERT_EQ(bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(by_name("blog.fed.example"), NSS_STATUS_UNAVAIL);
  EXPECT_EQ(errno_, ECONNREFUSED);
}

TEST_F(NssModule, GivesEveryAddressByEveryFunction) {
  FakeDaemon daemon(always(found(3)));
  ASSERT_EQ(by_name("blog.fed.example."), NSS_STATUS_SUCCESS);
  EXPECT_STREQ(host_.h_name, "blog.fed.example");
  EXPECT_EQ(host_.h_addrtype, AF_INET);
  EXPECT_EQ(host_.h_length, 4);
  EXPECT_EQ(host_.h_aliases[0], nullptr);
  char text[INET_ADDRSTRLEN];
  EXPECT_STREQ(inet_ntop(AF_INET, host_.h_addr_list[2], text, sizeof text), "127.0.0.3");
  EXPECT_EQ(host_.h_addr_list[3], nullptr);

  gaih_addrtuple* tuples = nullptr;
  std::int32_t ttl = 0;
  ASSERT_EQ(_nss_mutua_gethostbyname4_r("blog.fed.example", &tuples, buffer_, sizeof buffer_,
                                        &errno_, &h_errno_, &ttl),
            NSS_STATUS_SUCCESS);
  EXPECT_EQ(ttl, 60);
  int count = 0;
  for (const auto* tuple = tuples; tuple != nullptr; tuple = tuple->next, ++count) {
    EXPECT_EQ(tuple->family, AF_INET);
    EXPECT_STREQ(tuple->name, "blog.fed.example");
  }
  EXPECT_EQ(count, 3);

  const std::uint8_t address[4] = {127, 0, 0, 1};
  ASSERT_EQ(_nss_mutua_gethostbyaddr_r(address, 4, AF_INET, &host_, buffer_, sizeof buffer_,
                                       &errno_, &h_errno_),
            NSS_STATUS_SUCCESS);
  EXPECT_STREQ(host_.h_name, "blog.fed.example");
}

TEST_F(NssModule, FillsTheTupleThatTheCallerBrought) {
  FakeDaemon daemon(always(found(2)));
  gaih_addrtuple mine{};
  gaih_addrtuple* tuples = &mine;
  ASSERT_EQ(_nss_mutua_gethostbyname4_r("a", &tuples, buffer_, sizeof buffer_, &errno_, &h_errno_,
                                        nullptr),
            NSS_STATUS_SUCCESS);
  EXPECT_EQ(tuples, &mine);
  EXPECT_EQ(mine.family, AF_INET);
  ASSERT_NE(mine.next, nullptr);
  EXPECT_EQ(mine.next->next, nullptr);
}

TEST_F(NssModule, EveryStatusHasItsErrorNumbers) {
  struct Row {
    mutua_local_status said;
    nss_status status;
    int h_error;
  };
  for (const Row& row : {Row{MUTUA_LOCAL_NOT_FOUND, NSS_STATUS_NOTFOUND, HOST_NOT_FOUND},
                         Row{MUTUA_LOCAL_NO_DATA, NSS_STATUS_NOTFOUND, NO_DATA},
                         Row{MUTUA_LOCAL_TRY_AGAIN, NSS_STATUS_TRYAGAIN, TRY_AGAIN}}) {
    FakeDaemon daemon(always(status(row.said)));
    errno = 99;
    EXPECT_EQ(by_name("blog.fed.example"), row.status);
    EXPECT_EQ(h_errno_, row.h_error);
    EXPECT_NE(errno_, ERANGE) << "that would make glibc call again with a larger buffer";
    EXPECT_EQ(errno, 99) << "the caller's errno stays";
  }
}

TEST_F(NssModule, NamesThatCannotBeAreNotAskedFor) {
  FakeDaemon daemon(always(found(1)));
  EXPECT_EQ(by_name(""), NSS_STATUS_NOTFOUND);
  EXPECT_EQ(by_name("."), NSS_STATUS_NOTFOUND);
  EXPECT_EQ(by_name(std::string(300, 'a').c_str()), NSS_STATUS_NOTFOUND);
  EXPECT_EQ(by_name("a", AF_UNIX), NSS_STATUS_UNAVAIL);
  const std::uint8_t address[16] = {};
  EXPECT_EQ(_nss_mutua_gethostbyaddr_r(address, 3, AF_INET, &host_, buffer_, sizeof buffer_,
                                       &errno_, &h_errno_),
            NSS_STATUS_UNAVAIL);
  EXPECT_EQ(_nss_mutua_gethostbyaddr_r(address, 4, AF_INET6, &host_, buffer_, sizeof buffer_,
                                       &errno_, &h_errno_),
            NSS_STATUS_UNAVAIL);
  EXPECT_EQ(daemon.requests, 0);
}

TEST_F(NssModule, EveryBufferIsEitherLargeEnoughOrAskedToGrow) {
  FakeDaemon daemon(always(found(8, "a-name-of-some-length.fed.example")));
  for (std::size_t offset = 0; offset < 9; ++offset) {
    bool fitted = false;
    for (std::size_t size = 0; size < 400; ++size) {
      const Buffer buffer(size, offset);
      const auto result =
          _nss_mutua_gethostbyname_r("a", &host_, buffer.start, size, &errno_, &h_errno_);
      if (result == NSS_STATUS_TRYAGAIN) {
        ASSERT_FALSE(fitted) << "a larger buffer must fit too";
        ASSERT_EQ(errno_, ERANGE);
        ASSERT_EQ(h_errno_, NETDB_INTERNAL);
        continue;
      }
      ASSERT_EQ(result, NSS_STATUS_SUCCESS);
      fitted = true;
      ASSERT_TRUE(is_aligned(host_.h_addr_list) && is_aligned(host_.h_aliases));
      ASSERT_TRUE(lies_within(host_.h_name, std::strlen(host_.h_name) + 1, buffer.start, size));
      ASSERT_TRUE(lies_within(host_.h_addr_list, 9 * sizeof(char*), buffer.start, size));
      ASSERT_TRUE(lies_within(host_.h_aliases, sizeof(char*), buffer.start, size));
      for (int i = 0; i < 8; ++i)
        ASSERT_TRUE(lies_within(host_.h_addr_list[i], 4, buffer.start, size));
    }
    ASSERT_TRUE(fitted);
    fitted = false;
    for (std::size_t size = 0; size < 600; size += 7) {
      const Buffer buffer(size, offset);
      gaih_addrtuple* tuples = nullptr;
      const auto result = _nss_mutua_gethostbyname4_r("a", &tuples, buffer.start, size, &errno_,
                                                      &h_errno_, nullptr);
      if (result == NSS_STATUS_TRYAGAIN) {
        ASSERT_FALSE(fitted);
        ASSERT_EQ(errno_, ERANGE);
        continue;
      }
      ASSERT_EQ(result, NSS_STATUS_SUCCESS);
      fitted = true;
      for (const auto* tuple = tuples; tuple != nullptr; tuple = tuple->next) {
        ASSERT_TRUE(is_aligned(tuple));
        ASSERT_TRUE(lies_within(tuple, sizeof *tuple, buffer.start, size));
        ASSERT_TRUE(lies_within(tuple->name, std::strlen(tuple->name) + 1, buffer.start, size));
      }
    }
    ASSERT_TRUE(fitted);
  }
}

TEST_F(NssModule, AResponseThatLiesIsNotBelieved) {
  const auto lie = [](auto change) {
    auto response = found(2);
    change(response);
    return response;
  };
  for (const auto& response :
       {lie([](auto& r) { r.magic = 0; }), lie([](auto& r) { r.family = AF_UNIX; }),
        lie([](auto& r) { r.address_count = 0; }), lie([](auto& r) { r.address_count = 9; }),
        lie([](auto& r) { r.address_count = 0xffffffff; }), lie([](auto& r) { r.name_length = 0; }),
        lie([](auto& r) { r.name_length = 256; }), lie([](auto& r) { r.name_length = 0xffffffff; }),
        lie([](auto& r) { r.name_length = 5; }), lie([](auto& r) { r.name[3] = '\0'; }),
        lie([](auto& r) {
          std::memset(r.name, 'a', sizeof r.name);
          r.name_length = 255;
        })}) {
    FakeDaemon daemon(always(response));
    EXPECT_EQ(by_name("blog.fed.example"), NSS_STATUS_UNAVAIL);
    EXPECT_EQ(errno_, EPROTO);
  }
}

TEST_F(NssModule, AResponseThatIsCutIsNotBelieved) {
  for (const std::size_t size : {0u, 1u, 24u, 407u}) {
    FakeDaemon daemon([size](const mutua_local_request&) {
      Bytes octets = bytes_of(found(1));
      octets.resize(size);
      return octets;
    });
    EXPECT_EQ(by_name("blog.fed.example"), NSS_STATUS_UNAVAIL);
  }
}

TEST_F(NssModule, LeavesNoDescriptorOpen) {
  const auto before = open_descriptors();
  for (int i = 0; i < 10; ++i) by_name("blog.fed.example");
  {
    FakeDaemon daemon(always(found(1)));
    const auto during = open_descriptors();
    for (int i = 0; i < 50; ++i) ASSERT_EQ(by_name("blog.fed.example"), NSS_STATUS_SUCCESS);
    // The daemon's own last connection may still be closing, so compare what can only be ours.
    EXPECT_LE(open_descriptors().size(), during.size() + 1);
  }
  EXPECT_EQ(open_descriptors(), before);
}

TEST_F(NssModule, TheRequestSaysWhatWasAsked) {
  std::mutex mutex;
  mutua_local_request last{};
  FakeDaemon daemon([&](const mutua_local_request& request) {
    const std::lock_guard lock(mutex);
    last = request;
    return bytes_of(status(MUTUA_LOCAL_NOT_FOUND));
  });
  by_name("blog.fed.example.", AF_INET6);
  {
    const std::lock_guard lock(mutex);
    EXPECT_EQ(last.operation, MUTUA_LOCAL_BY_NAME);
    EXPECT_EQ(last.family, static_cast<std::uint32_t>(AF_INET6));
    EXPECT_STREQ(last.name, "blog.fed.example");
    EXPECT_EQ(last.name_length, 16u);
  }
  const std::uint8_t address[4] = {127, 200, 1, 2};
  std::int32_t ttl = 0;
  _nss_mutua_gethostbyaddr2_r(address, 4, AF_INET, &host_, buffer_, sizeof buffer_, &errno_,
                              &h_errno_, &ttl);
  const std::lock_guard lock(mutex);
  EXPECT_EQ(last.operation, MUTUA_LOCAL_BY_ADDRESS);
  EXPECT_EQ(std::memcmp(last.address, address, 4), 0);
}

// ---- the table in shared memory. What one test maps another finds dead: each has its own
// identity.

const std::string kPublished = "blog.fed.example";
constexpr std::uint32_t kPublishedAddress = 0x7fc80102;  // 127.200.1.2; found() says 127.0.0.1

class NssModuleWithTable : public NssModule {
 protected:
  bool answered_from_table() {
    return by_name(kPublished.c_str()) == NSS_STATUS_SUCCESS && host_.h_addr_list[0][1] == '\xc8';
  }
  // Lets a daemon bring `table` along with an answer about some other name.
  void hand_out(const TableInMemory& table) {
    FakeDaemon daemon(always(found(1, "first.fed.example")), table.descriptor());
    ASSERT_EQ(by_name("first.fed.example"), NSS_STATUS_SUCCESS);
    ASSERT_EQ(daemon.requests, 1);
  }
};

TEST_F(NssModuleWithTable, APublishedNameIsAnsweredWithoutTheDaemon) {
  TableInMemory table(101);
  table.put(kPublished, kPublishedAddress);
  const auto before = open_descriptors();
  hand_out(table);
  EXPECT_EQ(open_descriptors(), before) << "the mapping needs no descriptor";
  EXPECT_TRUE(answered_from_table());
  EXPECT_EQ(by_name("www.debian.org"), NSS_STATUS_NOTFOUND);
  EXPECT_EQ(by_name(kPublished.c_str(), AF_INET6), NSS_STATUS_NOTFOUND);
  EXPECT_EQ(h_errno_, NO_DATA);
  const std::uint8_t address[4] = {127, 200, 1, 2};
  ASSERT_EQ(_nss_mutua_gethostbyaddr_r(address, 4, AF_INET, &host_, buffer_, sizeof buffer_,
                                       &errno_, &h_errno_),
            NSS_STATUS_SUCCESS);
  EXPECT_EQ(host_.h_name, kPublished);
  gaih_addrtuple* tuples = nullptr;
  std::int32_t ttl = 0;
  ASSERT_EQ(_nss_mutua_gethostbyname4_r(kPublished.c_str(), &tuples, buffer_, sizeof buffer_,
                                        &errno_, &h_errno_, &ttl),
            NSS_STATUS_SUCCESS);
  EXPECT_EQ(tuples->next, nullptr);
  EXPECT_GT(ttl, 50);
  EXPECT_EQ(by_name("unknown.fed.example"), NSS_STATUS_UNAVAIL) << "that takes the daemon";
}

TEST_F(NssModuleWithTable, AnotherDaemonsTableReplacesADeadOne) {
  TableInMemory first(102), second(103);
  first.put(kPublished, kPublishedAddress);
  second.put(kPublished, kPublishedAddress);
  hand_out(first);
  ASSERT_TRUE(answered_from_table());
  first.retire();
  EXPECT_EQ(by_name(kPublished.c_str()), NSS_STATUS_UNAVAIL);
  hand_out(second);
  EXPECT_TRUE(answered_from_table());
}

TEST_F(NssModuleWithTable, TheRequestNamesTheTableAtHand) {
  TableInMemory table(104);
  hand_out(table);
  std::atomic<std::uint64_t> said{0};
  FakeDaemon daemon([&](const mutua_local_request& request) {
    said = request.table;
    return bytes_of(status(MUTUA_LOCAL_NOT_FOUND));
  });
  by_name("unknown.fed.example");
  EXPECT_EQ(said, 104u);
}

TEST_F(NssModuleWithTable, MemoryThatCouldShrinkOrIsTooSmallIsNotMapped) {
  TableInMemory unsealed(105, F_SEAL_GROW), small(106, F_SEAL_SHRINK, 4096);
  unsealed.put(kPublished, kPublishedAddress);
  hand_out(unsealed);
  EXPECT_EQ(by_name(kPublished.c_str()), NSS_STATUS_UNAVAIL);
  hand_out(small);
  EXPECT_EQ(by_name(kPublished.c_str()), NSS_STATUS_UNAVAIL);
  const UniqueFd pipe_end(open("/dev/null", O_RDONLY | O_CLOEXEC));
  FakeDaemon daemon(always(found(1)), pipe_end.get());
  EXPECT_EQ(by_name(kPublished.c_str()), NSS_STATUS_SUCCESS);
}

TEST_F(NssModuleWithTable, AChildHasTheTableAndMayMapTheNextOneForItself) {
  TableInMemory first(107), second(108);
  first.put(kPublished, kPublishedAddress);
  second.put(kPublished, kPublishedAddress);
  hand_out(first);
  FakeDaemon daemon(always(found(1, "first.fed.example")), second.descriptor());
  const pid_t child = fork();
  if (child == 0) {
    bool good = answered_from_table();
    first.retire();
    good = good && by_name("first.fed.example") == NSS_STATUS_SUCCESS && answered_from_table();
    _exit(good ? 0 : 1);
  }
  int result = 0;
  ASSERT_EQ(waitpid(child, &result, 0), child);
  EXPECT_EQ(result, 0);
}

struct ThreadsWork {
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0}, answers{0};
};

void* look_up_until_stopped(void* argument) {
  auto& work = *static_cast<ThreadsWork*>(argument);
  while (!work.stop) {
    hostent host{};
    char buffer[512];
    int error = 0, h_error = 0;
    const nss_status status = _nss_mutua_gethostbyname2_r("blog.fed.example", AF_INET, &host,
                                                          buffer, sizeof buffer, &error, &h_error);
    if (status == NSS_STATUS_SUCCESS) {
      ++work.answers;
      if (std::strcmp(host.h_name, "blog.fed.example") != 0) ++work.wrong;
    } else if (status != NSS_STATUS_UNAVAIL) {
      ++work.wrong;
    }
    usleep(100);  // or the daemon's one thread would hardly have its turn
  }
  return nullptr;
}

// Small stacks, few descriptors, and daemons that come and go beneath 64 threads.
TEST_F(NssModuleWithTable, SixtyFourThreadsSurviveTablesThatComeAndGo) {
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  const rlimit few{256, before.rlim_max};
  setrlimit(RLIMIT_NOFILE, &few);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  ASSERT_EQ(pthread_attr_setstacksize(&attributes, 96 * 1024), 0);
#endif
  ThreadsWork work;
  std::vector<pthread_t> threads(64);
  for (auto& thread : threads)
    ASSERT_EQ(pthread_create(&thread, &attributes, look_up_until_stopped, &work), 0);
  for (std::uint64_t identity = 200; identity < 208; ++identity) {
    TableInMemory table(identity);
    table.put(kPublished, kPublishedAddress);
    FakeDaemon daemon(always(found(1)), table.descriptor());
    const int answers = work.answers;
    while (work.answers < answers + 200) usleep(1000);
  }
  work.stop = true;
  for (auto& thread : threads) pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
  setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_EQ(work.wrong, 0);
}

}  // namespace
}  // namespace mutua
