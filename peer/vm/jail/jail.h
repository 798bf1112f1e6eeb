#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace mutua::vm {

// The pieces of which a jail is built, each called by the process that is about to be jailed,
// which must have one thread. A failure leaves the process half-way: it must exit.

// Who the jailed processes are on the host. Root gives every process group a user id of its own,
// which owns nothing else; anyone else stays who he is, inside a user namespace.
struct JailUser {
  uid_t uid = 0;
  bool in_user_namespace = false;
};
enum class Part : std::uint32_t { machine, network };
JailUser choose_jail_user(Part part);

// fork() into new namespaces (CLONE_NEW… flags; the user namespace is added as `user` wants it).
// Returns 0 in the child, which waits for map_ids() before it does anything privileged.
Result<pid_t> fork_into(std::uint64_t namespaces, const JailUser& user);
// For the parent: gives the child's user namespace its one user. Does nothing without one.
Result<void> map_ids(pid_t child, const JailUser& user);

// A file or folder of the host's that the jail sees as /<name>; folders without mounts below them.
struct JailFile {
  std::filesystem::path host_path;
  std::string name;
  bool writable = false;
  bool executable = false;
};
// A file made within the jail.
struct JailText {
  std::string name;
  std::string content;
};
// Makes a root of nothing but these, read-only, and, if tmp_bytes is not 0, a /tmp of that size
// that `user` may write and execute. Nothing of the host's file system remains. The mounts hang
// above `run_dir`, in this process's mount namespace alone.
struct JailRoot {
  std::filesystem::path run_dir;
  std::vector<JailFile> files;
  std::vector<JailText> texts;
  std::vector<std::string> folders;  // empty ones, for lend_folder()
  // Character devices of the host's, which `user` may open at their own paths: /dev/<name>. Root
  // gives him nodes of his own; anyone else needs the right to the host's.
  std::vector<std::string> devices;
  std::uint64_t tmp_bytes = 0;
};
Result<void> enter_root(const JailRoot& root, const JailUser& user);

// The way into a jail that is already built, for its parent alone. To be opened between
// fork_into() and the first step of the child: later the jail hides from its own user.
struct JailDoor {
  pid_t child = -1;
  UniqueFd user_namespace;  // none for root's jails
  UniqueFd mount_namespace;
};
Result<JailDoor> open_door(pid_t child, const JailUser& user);

// Lets the jail see the host's folder `host_path` as /<name>, one of JailRoot::folders, to write
// but not to execute. For the caller's part it must belong to the jail's user.
Result<void> lend_folder(const JailDoor& door, const std::filesystem::path& host_path,
                         const std::string& name);
// Ends that. A process that has a file of it open keeps that file.
Result<void> take_folder_back(const JailDoor& door, const std::string& name);

// Becomes `user` without any capability and without a way to gain one.
Result<void> drop_privileges(const JailUser& user);

// Asks the kernel to kill this process when its parent ends. Changing user resets it.
Result<void> die_with_parent();

// Leaves open 0 to 2 and the descriptors of `keep`.
void close_all_but(std::span<const int> keep);

Result<void> limit_resource(int resource, std::uint64_t value);

}  // namespace mutua::vm
