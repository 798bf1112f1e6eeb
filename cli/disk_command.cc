#include <fcntl.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <set>
#include <system_error>

#include "base/unique_fd.h"
#include "cli/command.h"
#include "cli/output.h"

extern char** environ;

namespace mutua::cli {
namespace {

constexpr const char* kHelp =
    R"(usage: mutua disk create --base IMG --output DISK (--add HOSTPATH=GUESTPATH | --remove GUESTPATH)...

Makes the disk of a service: a copy of the base image with files put into it, by e2fsprogs' debugfs,
without root. A folder is put in with all that is in it. Files are root's in the machine and keep
their permissions. An executable /etc/mutua/start is run at the start of the machine; without one
the base serves /www at port 80.

  mutua disk create --base base.img --output blog.img --add site/index.html=/www/index.html
)";

constexpr const char* kEpoch = "1735689600";  // 2025-01-01, as in peer/vm/uml/base/build.sh

struct Addition {
  std::filesystem::path source;
  std::string destination;
};

// debugfs reads a file of commands; a path must not end a command or a word within.
Result<void> check_guest_path(const std::string& path) {
  if (!path.starts_with('/') || path.ends_with('/')) {
    return Error("a path in the machine begins with '/' and names a file: " + path);
  }
  if (path.find_first_of("\"\n\\") != std::string::npos) {
    return Error("a path with quotes, backslashes or line ends is not possible: " + path);
  }
  return {};
}

Result<std::vector<Addition>> expand(const std::vector<std::string>& texts) {
  std::vector<Addition> additions;
  for (const std::string& text : texts) {
    const auto equals = text.rfind('=');
    if (equals == std::string::npos) return Error("--add needs HOSTPATH=GUESTPATH: " + text);
    const std::filesystem::path source = text.substr(0, equals);
    const std::string destination = text.substr(equals + 1);
    std::error_code problem;
    const auto status = std::filesystem::status(source, problem);
    if (!std::filesystem::exists(status)) return Error(source.string() + " does not exist");
    if (!std::filesystem::is_directory(status)) {
      additions.push_back({source, destination});
      continue;
    }
    for (const auto& entry : std::filesystem::recursive_directory_iterator(source, problem)) {
      if (entry.is_directory(problem)) continue;
      const auto below = entry.path().lexically_relative(source).string();
      additions.push_back({entry.path(), destination + "/" + below});
    }
    if (problem) return errno_error(problem.value(), "list " + source.string());
  }
  for (const Addition& addition : additions) TRY(check_guest_path(addition.destination));
  return additions;
}

// The folders above `path`, the outermost first: "/a", "/a/b" for "/a/b/c".
std::vector<std::string> folders_above(const std::string& path) {
  std::vector<std::string> folders;
  for (auto at = path.find('/', 1); at != std::string::npos; at = path.find('/', at + 1)) {
    folders.push_back(path.substr(0, at));
  }
  return folders;
}

struct Output {
  int status = 0;
  std::string text;  // stdout
};

Result<Output> run_program(std::vector<std::string> arguments) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return errno_error(errno, "pipe");
  UniqueFd read_end(ends[0]), write_end(ends[1]);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, write_end.get(), 1);
  ::posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  pid_t pid = 0;
  int problem = ENOENT;
  for (const char* folder : {"/usr/sbin/", "/sbin/", "/usr/bin/"}) {
    const std::string program = folder + arguments.front();
    problem = ::posix_spawn(&pid, program.c_str(), &actions, nullptr, argv.data(), environ);
    if (problem != ENOENT) break;
  }
  ::posix_spawn_file_actions_destroy(&actions);
  if (problem == ENOENT) return Error(arguments.front() + " is missing: apt-get install e2fsprogs");
  if (problem != 0) return errno_error(problem, "run " + arguments.front());
  write_end.reset();
  Output output;
  char chunk[4096];
  for (ssize_t count; (count = ::read(read_end.get(), chunk, sizeof chunk)) > 0;) {
    output.text.append(chunk, static_cast<std::size_t>(count));
  }
  int status = 0;
  if (::waitpid(pid, &status, 0) < 0) return errno_error(errno, "wait");
  output.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128;
  return output;
}

Result<bool> exists(const std::string& disk, const std::string& path) {
  const auto output = TRY(run_program({"debugfs", "-R", "stat \"" + path + "\"", disk}));
  return output.text.find("Inode:") != std::string::npos;
}

// The folders that have to be made: debugfs' mkdir of one that is there damages the file system.
Result<std::vector<std::string>> missing_folders(const std::string& disk,
                                                 const std::vector<Addition>& additions) {
  std::set<std::string> looked_at;
  std::vector<std::string> missing;
  for (const Addition& addition : additions) {
    for (const std::string& folder : folders_above(addition.destination)) {
      if (!looked_at.insert(folder).second) continue;
      if (!TRY(exists(disk, folder))) missing.push_back(folder);
    }
  }
  return missing;
}

// Removing a file that is not there is an error that debugfs passes over; what counts is the
// result: see check_content().
std::string script_of(const std::vector<std::string>& folders,
                      const std::vector<Addition>& additions,
                      const std::vector<std::string>& removals) {
  std::string script;
  const auto line = [&script](const std::string& text) { script += text + "\n"; };
  for (const std::string& folder : folders) line("mkdir \"" + folder + "\"");
  for (const std::string& path : removals) line("rm \"" + path + "\"");
  for (const Addition& addition : additions) {
    const std::string quoted = "\"" + addition.destination + "\"";
    line("rm " + quoted);
    line("write \"" + addition.source.string() + "\" " + quoted);
    struct stat status {};
    ::stat(addition.source.c_str(), &status);
    char mode[16];
    std::snprintf(mode, sizeof mode, "0%o", S_IFREG | (status.st_mode & 0777));
    line("set_inode_field " + quoted + " mode " + mode);
    for (const char* field : {"uid 0", "gid 0"}) line("set_inode_field " + quoted + " " + field);
    for (const char* field : {"atime", "ctime", "mtime", "crtime"}) {
      line("set_inode_field " + quoted + " " + field + " @" + kEpoch);
    }
  }
  return script;
}

// Every added file is there with its size.
Result<void> check_content(const std::string& disk, const std::vector<Addition>& additions) {
  std::map<std::string, std::uintmax_t> wanted;  // a later addition of a path wins
  for (const Addition& addition : additions) {
    std::error_code problem;
    wanted[addition.destination] = std::filesystem::file_size(addition.source, problem);
  }
  for (const auto& [path, size_bytes] : wanted) {
    const auto output = TRY(run_program({"debugfs", "-R", "stat \"" + path + "\"", disk}));
    const auto at = output.text.find("Size: ");
    const bool whole = at != std::string::npos &&
                       std::strtoull(output.text.c_str() + at + 6, nullptr, 10) == size_bytes;
    if (!whole) return Error(path + " could not be put into the disk; is the disk full?");
  }
  return {};
}

Result<void> fill(const std::string& disk, const std::vector<Addition>& additions,
                  const std::vector<std::string>& removals) {
  const auto folders = TRY(missing_folders(disk, additions));
  const std::string script_path = disk + ".script";
  const UniqueFd script(
      ::open(script_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!script) return errno_error(errno, "create " + script_path);
  const std::string text = script_of(folders, additions, removals);
  const bool written =
      ::write(script.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const auto output = written ? run_program({"debugfs", "-w", "-f", script_path, disk})
                              : Result<Output>(errno_error(errno, "write " + script_path));
  ::unlink(script_path.c_str());
  if (!output.ok()) return output.error();
  TRY(check_content(disk, additions));
  const auto checked = TRY(run_program({"e2fsck", "-fn", disk}));
  if (checked.status != 0) return Error(disk + " is not a clean file system afterwards");
  return {};
}

Result<void> run(const Arguments& arguments, const Sockets&) {
  const std::filesystem::path base = TRY(arguments.required("base"));
  const std::filesystem::path output = TRY(arguments.required("output"));
  const std::vector<Addition> additions = TRY(expand(arguments.all("add")));
  for (const std::string& path : arguments.all("remove")) TRY(check_guest_path(path));
  // The time that debugfs writes into the file system: the base's own, so that the same files make
  // the same disk.
  ::setenv("E2FSPROGS_FAKE_TIME", kEpoch, 1);
  std::error_code problem;
  // Made beside its place and renamed: a disk under its name is whole.
  const std::string unfinished = output.string() + ".new";
  std::filesystem::copy_file(base, unfinished, std::filesystem::copy_options::overwrite_existing,
                             problem);
  if (problem) return errno_error(problem.value(), "copy " + base.string() + " to " + unfinished);
  std::filesystem::permissions(unfinished, std::filesystem::perms::owner_write,
                               std::filesystem::perm_options::add, problem);
  auto filled = fill(unfinished, additions, arguments.all("remove"));
  if (filled.ok() && ::rename(unfinished.c_str(), output.c_str()) != 0) {
    filled = errno_error(errno, "rename to " + output.string());
  }
  if (!filled.ok()) {
    ::unlink(unfinished.c_str());
    return filled;
  }
  print_line(output.string() + ": " + std::to_string(additions.size()) + " files added");
  return {};
}

}  // namespace

std::vector<Command> disk_commands() {
  return {{"disk create",
           "make a service's disk from the base image",
           kHelp,
           {{"base", "output", "add", "remove"}, {}, 0, 0},
           run}};
}

}  // namespace mutua::cli
