#include "peer/vm/jail/jail.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>

#include "base/unique_fd.h"

namespace mutua::vm {
namespace {

// Far above the ids that distributions and containers hand out; room for every pid below.
constexpr uid_t kFirstMachineUser = 0x6d400000;
constexpr uid_t kFirstNetworkUser = 0x6d800000;
constexpr uid_t kNobody = 65534;

// Within a container the wide ids may not exist.
bool is_mapped(uid_t uid) {
  std::ifstream map("/proc/self/uid_map");
  std::uint64_t inside = 0, outside = 0, count = 0;
  while (map >> inside >> outside >> count) {
    if (uid >= inside && uid < inside + count) return true;
  }
  return false;
}

Result<void> write_text(const std::filesystem::path& path, const std::string& text, int flags) {
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC | flags, 0644));
  if (!file || ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return errno_error(errno, "write " + path.string());
  }
  return {};
}

// Only ever adds restrictions, which a user namespace may do to mounts that are not its own.
Result<void> restrict_mount(const std::filesystem::path& path, std::uint64_t attributes) {
  mount_attr change{};
  change.attr_set = attributes;
  if (::mount_setattr(AT_FDCWD, path.c_str(), 0, &change, sizeof change) != 0) {
    return errno_error(errno, "restrict the mount " + path.string());
  }
  return {};
}

Result<void> mount_tmpfs(const std::filesystem::path& at, const std::string& options) {
  if (::mount("tmpfs", at.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, options.c_str()) != 0) {
    return errno_error(errno, "mount tmpfs at " + at.string());
  }
  return {};
}

// Does `work`, which returns an errno or 0, in a process of its own: namespaces are entered for
// good.
template <typename Work>
Result<void> run_apart(const Work& work, const std::string& operation) {
  const pid_t child = ::fork();
  if (child < 0) return errno_error(errno, operation + ": fork");
  if (child == 0) ::_exit(work());
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFEXITED(status)) return errorf("%s: killed", operation.c_str());
  if (WEXITSTATUS(status) != 0) return errno_error(WEXITSTATUS(status), operation);
  return {};
}

// A mount of one file or folder, attached nowhere yet.
Result<UniqueFd> clone_mount(const JailFile& file) {
  UniqueFd tree(::open_tree(AT_FDCWD, file.host_path.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
  if (!tree) return errno_error(errno, "open " + file.host_path.string());
  return tree;
}

Result<void> attach_file(const std::filesystem::path& root, const JailFile& file, int tree) {
  const std::filesystem::path target = root / file.name;
  struct stat status {};
  if (::fstat(tree, &status) != 0) return errno_error(errno, "stat " + file.host_path.string());
  if (!S_ISDIR(status.st_mode)) {
    TRY(write_text(target, "", O_CREAT | O_EXCL));
  } else if (::mkdir(target.c_str(), 0755) != 0) {
    return errno_error(errno, "make /" + file.name);
  }
  if (::move_mount(tree, "", AT_FDCWD, target.c_str(), MOVE_MOUNT_F_EMPTY_PATH) != 0) {
    return errno_error(errno, "attach " + file.host_path.string());
  }
  std::uint64_t attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
  if (!file.writable) attributes |= MOUNT_ATTR_RDONLY;
  if (!file.executable) attributes |= MOUNT_ATTR_NOEXEC;
  return restrict_mount(target, attributes);
}

// Opened before the new root hides anything: the devices' mounts, which only a user namespace
// needs. There, nobody can make a node.
Result<std::vector<UniqueFd>> clone_devices(const JailRoot& root, const JailUser& user) {
  std::vector<UniqueFd> trees;
  if (!user.in_user_namespace) return trees;
  for (const std::string& name : root.devices) {
    trees.push_back(TRY(clone_mount({"/dev/" + name, name, true, false})));
  }
  return trees;
}

Result<void> make_device(const std::filesystem::path& at, const std::string& name,
                         const JailUser& user) {
  const std::string host_path = "/dev/" + name;
  struct stat status {};
  if (::stat(host_path.c_str(), &status) != 0) return errno_error(errno, "stat " + host_path);
  if (!S_ISCHR(status.st_mode)) return errorf("%s: not a character device", host_path.c_str());
  if (::mknod(at.c_str(), S_IFCHR | 0600, status.st_rdev) != 0 ||
      ::chown(at.c_str(), user.uid, user.uid) != 0) {
    return errno_error(errno, "make " + host_path + " in the jail");
  }
  return {};
}

// /dev is a mount of its own, the only one on which devices work.
Result<void> add_devices(const JailRoot& root, const JailUser& user,
                         const std::vector<UniqueFd>& trees) {
  if (root.devices.empty()) return {};
  const std::filesystem::path folder = root.run_dir / "dev";
  if (::mkdir(folder.c_str(), 0755) != 0) return errno_error(errno, "make /dev in the jail");
  if (::mount("tmpfs", folder.c_str(), "tmpfs", MS_NOSUID | MS_NOEXEC,
              "size=4k,nr_inodes=16,mode=0755") != 0) {
    return errno_error(errno, "mount /dev in the jail");
  }
  for (std::size_t i = 0; i < root.devices.size(); ++i) {
    const std::filesystem::path at = folder / root.devices[i];
    if (trees.empty()) {
      TRY(make_device(at, root.devices[i], user));
      continue;
    }
    TRY(write_text(at, "", O_CREAT | O_EXCL));
    if (::move_mount(trees[i].get(), "", AT_FDCWD, at.c_str(), MOVE_MOUNT_F_EMPTY_PATH) != 0) {
      return errno_error(errno, "attach /dev/" + root.devices[i]);
    }
  }
  return restrict_mount(folder, MOUNT_ATTR_RDONLY);
}

Result<void> clear_capabilities() {
  __user_cap_header_struct header{};
  header.version = _LINUX_CAPABILITY_VERSION_3;
  std::array<__user_cap_data_struct, 2> none{};
  if (::syscall(SYS_capset, &header, none.data()) != 0) return errno_error(errno, "capset");
  return {};
}

}  // namespace

JailUser choose_jail_user(Part part) {
  if (::geteuid() != 0) return {::geteuid(), true};
  const uid_t first = part == Part::machine ? kFirstMachineUser : kFirstNetworkUser;
  const uid_t uid = first + static_cast<uid_t>(::getpid());
  return {is_mapped(uid) ? uid : kNobody, false};
}

Result<pid_t> fork_into(std::uint64_t namespaces, const JailUser& user) {
  if (user.in_user_namespace) namespaces |= CLONE_NEWUSER;
  const long pid = ::syscall(SYS_clone, namespaces | SIGCHLD, nullptr, nullptr, nullptr, nullptr);
  if (pid < 0) return errno_error(errno, "fork into new namespaces");
  return static_cast<pid_t>(pid);
}

Result<void> map_ids(pid_t child, const JailUser& user) {
  if (!user.in_user_namespace) return {};
  const std::filesystem::path process = "/proc/" + std::to_string(child);
  TRY(write_text(process / "setgroups", "deny", 0));
  TRY(write_text(process / "gid_map", "0 " + std::to_string(::getegid()) + " 1", 0));
  return write_text(process / "uid_map", "0 " + std::to_string(user.uid) + " 1", 0);
}

Result<void> enter_root(const JailRoot& root, const JailUser& user) {
  const std::filesystem::path& top = root.run_dir;
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return errno_error(errno, "make the mounts private");
  }
  // The files may lie in run_dir, which the new root hides: open them first.
  std::vector<UniqueFd> trees;
  for (const JailFile& file : root.files) trees.push_back(TRY(clone_mount(file)));
  const std::vector<UniqueFd> devices = TRY(clone_devices(root, user));
  TRY(mount_tmpfs(top, "size=256k,nr_inodes=64,mode=0755"));
  for (std::size_t i = 0; i < trees.size(); ++i) {
    TRY(attach_file(top, root.files[i], trees[i].get()));
  }
  for (const JailText& text : root.texts) {
    const std::filesystem::path path = top / text.name;
    if (::mkdir(path.parent_path().c_str(), 0755) != 0 && errno != EEXIST) {
      return errno_error(errno, "make a folder in the jail");
    }
    TRY(write_text(path, text.content, O_CREAT | O_EXCL));
  }
  for (const std::string& name : root.folders) {
    if (::mkdir((top / name).c_str(), 0755) != 0) return errno_error(errno, "make /" + name);
  }
  TRY(add_devices(root, user, devices));
  if (root.tmp_bytes != 0) {
    const std::filesystem::path tmp = top / "tmp";
    if (::mkdir(tmp.c_str(), 0700) != 0) return errno_error(errno, "make /tmp in the jail");
    const std::string owner = user.in_user_namespace ? std::string()
                                                     : ",uid=" + std::to_string(user.uid) +
                                                           ",gid=" + std::to_string(user.uid);
    TRY(mount_tmpfs(tmp, "nr_inodes=256,mode=0700,size=" + std::to_string(root.tmp_bytes) + owner));
  }
  // The old root ends up below the new one at the same place, from where it is taken off.
  if (::chdir(top.c_str()) != 0 || ::syscall(SYS_pivot_root, ".", ".") != 0 ||
      ::umount2(".", MNT_DETACH) != 0 || ::chdir("/") != 0) {
    return errno_error(errno, "change to the jail's root");
  }
  return restrict_mount("/", MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
}

Result<JailDoor> open_door(pid_t child, const JailUser& user) {
  const std::string spaces = "/proc/" + std::to_string(child) + "/ns/";
  JailDoor door;
  door.child = child;
  door.mount_namespace.reset(::open((spaces + "mnt").c_str(), O_RDONLY | O_CLOEXEC));
  if (!door.mount_namespace) return errno_error(errno, "open the jail's mount namespace");
  if (!user.in_user_namespace) return door;
  door.user_namespace.reset(::open((spaces + "user").c_str(), O_RDONLY | O_CLOEXEC));
  if (!door.user_namespace) return errno_error(errno, "open the jail's user namespace");
  return door;
}

namespace {

// Enters the jail's mount namespace and stands in the jail's root; an errno or 0. That root is not
// the namespace's where the daemon itself runs in a chroot, so it is looked up as the child has it.
// Without root's rights that look is refused; but then there is no such chroot either.
int enter_jail(const JailDoor& door) {
  const std::string root_path = "/proc/" + std::to_string(door.child) + "/root";
  const UniqueFd root(::open(root_path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (::setns(door.mount_namespace.get(), CLONE_NEWNS) != 0) return errno;
  if ((root ? ::fchdir(root.get()) : ::chdir("/")) != 0) return errno;
  return 0;
}

}  // namespace

Result<void> lend_folder(const JailDoor& door, const std::filesystem::path& host_path,
                         const std::string& name) {
  const auto lend = [&] {
    // Only who owns a mount namespace may clone out of it; so the jail's rights take a copy of
    // the host's.
    if (door.user_namespace &&
        (::setns(door.user_namespace.get(), CLONE_NEWUSER) != 0 || ::unshare(CLONE_NEWNS) != 0)) {
      return errno;
    }
    const UniqueFd tree(
        ::open_tree(AT_FDCWD, host_path.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
    if (!tree) return errno;
    mount_attr change{};
    change.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
    if (::mount_setattr(tree.get(), "", AT_EMPTY_PATH, &change, sizeof change) != 0) return errno;
    if (const int failure = enter_jail(door)) return failure;
    if (::move_mount(tree.get(), "", AT_FDCWD, name.c_str(), MOVE_MOUNT_F_EMPTY_PATH) != 0) {
      return errno;
    }
    return 0;
  };
  return run_apart(lend, "lend " + host_path.string() + " to the jail");
}

Result<void> take_folder_back(const JailDoor& door, const std::string& name) {
  const auto take_back = [&] {
    if (door.user_namespace && ::setns(door.user_namespace.get(), CLONE_NEWUSER) != 0) {
      return errno;
    }
    if (const int failure = enter_jail(door)) return failure;
    return ::umount2(name.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) != 0 ? errno : 0;
  };
  return run_apart(take_back, "take /" + name + " back from the jail");
}

Result<void> drop_privileges(const JailUser& user) {
  // Without a bounding set no program can give capabilities back, not even to a user 0.
  for (int capability = 0; ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; ++capability) {
    if (::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0) {
      return errno_error(errno, "drop the capability bounding set");
    }
  }
  if (!user.in_user_namespace) {
    const gid_t gid = user.uid;
    if (::setgroups(0, nullptr) != 0 || ::setresgid(gid, gid, gid) != 0 ||
        ::setresuid(user.uid, user.uid, user.uid) != 0) {
      return errno_error(errno, "become the jail's user");
    }
  }
  TRY(clear_capabilities());
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return errno_error(errno, "set no_new_privs");
  }
  return {};
}

Result<void> die_with_parent() {
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) {
    return errno_error(errno, "set the parent-death signal");
  }
  return {};
}

void close_all_but(std::span<const int> keep) {
  std::vector<int> kept(keep.begin(), keep.end());
  std::sort(kept.begin(), kept.end());
  unsigned first = 3;
  for (const int fd : kept) {
    const auto number = static_cast<unsigned>(fd);
    if (number < first) continue;
    if (number > first) ::close_range(first, number - 1, 0);
    first = number + 1;
  }
  ::close_range(first, ~0u, 0);
}

Result<void> limit_resource(int resource, std::uint64_t value) {
  const rlimit limit{value, value};
  if (::setrlimit(static_cast<__rlimit_resource_t>(resource), &limit) != 0) {
    return errno_error(errno, "setrlimit");
  }
  return {};
}

}  // namespace mutua::vm
