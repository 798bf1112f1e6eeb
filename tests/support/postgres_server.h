#pragma once

#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace mutua::test {

// A PostgreSQL server of the test's own, in a temporary folder, on a UNIX socket there. As root it
// runs as Debian's user `postgres`, since PostgreSQL refuses to run as root. Its roles: `postgres`,
// `owner` (who may create databases) and `daemon`.
class PostgresServer {
 public:
  PostgresServer() {
    std::string pattern = std::filesystem::temp_directory_path() / "mutua-postgres-XXXXXX";
    if (!::mkdtemp(pattern.data())) throw std::runtime_error("mkdtemp");
    folder_ = pattern;
    if (::geteuid() == 0) {
      const passwd* user = ::getpwnam("postgres");
      if (!user) throw std::runtime_error("there is no user postgres: ./dev setup --test");
      user_ = user->pw_uid;
      group_ = user->pw_gid;
      if (::chown(folder_.c_str(), user_, group_) != 0) throw std::runtime_error("chown");
    }
    ::chmod(folder_.c_str(), 0755);
    run({"initdb", "-D", data(), "-U", "postgres", "--auth=trust", "--no-sync", "--no-locale", "-E",
         "UTF8"});
    std::ofstream(data() + "/postgresql.conf", std::ios::app)
        << "listen_addresses = ''\nunix_socket_directories = '" << folder_.string()
        << "'\nmax_connections = 50\nshared_buffers = 16MB\n"
           "fsync = off\n";
    // Without fsync: what kill -9 leaves is in the page cache.
    start();
    sql("postgres", "CREATE ROLE owner LOGIN CREATEDB; CREATE ROLE daemon LOGIN");
  }
  ~PostgresServer() {
    if (server_ > 0) stop(SIGQUIT);
    std::filesystem::remove_all(folder_);
  }
  PostgresServer(const PostgresServer&) = delete;
  PostgresServer& operator=(const PostgresServer&) = delete;

  void start() {
    server_ = spawn({"postgres", "-D", data()});
    for (int attempt = 0; attempt < 600; ++attempt) {
      if (status({"pg_isready", "-q", "-h", folder_.string(), "-U", "postgres"}) == 0) return;
      ::usleep(20'000);
    }
    throw std::runtime_error("PostgreSQL does not start");
  }
  // SIGQUIT: no checkpoint, nothing flushed; as after a crash, recovery follows.
  void stop(int signal = SIGINT) {
    ::kill(server_, signal);
    ::waitpid(server_, nullptr, 0);
    server_ = 0;
  }

  // Creates a database that is the owner's; its name.
  std::string create_database() {
    const std::string name = "zone" + std::to_string(++databases_);
    sql("postgres", "CREATE DATABASE " + name + " OWNER owner");
    return name;
  }
  std::string address(const std::string& database, const std::string& role = "daemon") const {
    return "host=" + folder_.string() + " user=" + role + " dbname=" + database;
  }
  std::string socket_path() const { return folder_.string() + "/.s.PGSQL.5432"; }
  void sql(const std::string& database, const std::string& text) const {
    run({"psql", "-q", "-X", "-v", "ON_ERROR_STOP=1", "-h", folder_.string(), "-U", "postgres",
         "-d", database, "-c", text});
  }

 private:
  std::string data() const { return folder_.string() + "/data"; }

  pid_t spawn(std::vector<std::string> words) const {
    words.front() = "/usr/lib/postgresql/15/bin/" + words.front();
    const std::string log = folder_.string() + "/log";
    const pid_t child = ::fork();
    if (child != 0) return child;
    const int out = ::open("/dev/null", O_WRONLY);
    ::dup2(out, STDOUT_FILENO);
    if (::geteuid() == 0 && (::setgid(group_) != 0 || ::setuid(user_) != 0)) ::_exit(126);
    ::prctl(PR_SET_PDEATHSIG, SIGQUIT);  // it never outlives the test
    const int errors = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    ::dup2(errors, STDERR_FILENO);
    if (::chdir("/") != 0) ::_exit(126);
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    ::execv(arguments.front(), arguments.data());
    ::_exit(127);
  }
  int status(std::vector<std::string> words) const {
    int result = 0;
    ::waitpid(spawn(std::move(words)), &result, 0);
    return WIFEXITED(result) ? WEXITSTATUS(result) : -1;
  }
  void run(const std::vector<std::string>& words) const {
    if (status(words) == 0) return;
    std::ifstream log(folder_ / "log");
    throw std::runtime_error(words.front() + " failed:\n" +
                             std::string(std::istreambuf_iterator<char>(log), {}));
  }

  std::filesystem::path folder_;
  uid_t user_ = 0;
  gid_t group_ = 0;
  pid_t server_ = 0;
  unsigned databases_ = 0;
};

// One for all tests of a program, started by the first that asks.
inline PostgresServer& postgres_server() {
  static PostgresServer server;
  return server;
}

}  // namespace mutua::test
