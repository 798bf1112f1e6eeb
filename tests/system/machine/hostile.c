/*
 * Runs in place of a resumed kernel, as native code of whoever made the snapshot: no library, no
 * stack but what the patched snapshot gives it. Tries to get out, says on its console how each try
 * went, and at last takes more memory than the machine has. HOST_PID, ABSTRACT_NAME and
 * MOST_MEMORY_MIB come from hostile_snapshot.py.
 */
#define NUMBER(name, value) enum { name = value }
NUMBER(kRead, 0);
NUMBER(kWrite, 1);
NUMBER(kOpen, 2);
NUMBER(kMmap, 9);
NUMBER(kMprotect, 10);
NUMBER(kPause, 34);
NUMBER(kSocket, 41);
NUMBER(kConnect, 42);
NUMBER(kFork, 57);
NUMBER(kExecve, 59);
NUMBER(kExit, 60);
NUMBER(kKill, 62);
NUMBER(kChmod, 90);
NUMBER(kPtrace, 101);
NUMBER(kMount, 165);
NUMBER(kSetuid, 105);
NUMBER(kKeyctl, 250);
NUMBER(kUnshare, 272);
NUMBER(kPerfEventOpen, 298);
NUMBER(kProcessVmReadv, 310);
NUMBER(kBpf, 321);
NUMBER(kUserfaultfd, 323);
NUMBER(kIoUringSetup, 425);

static long call(long number, long a, long b, long c, long d, long e) {
  long result;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = 0;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
}

static long length(const char* text) {
  long count = 0;
  while (text[count]) ++count;
  return count;
}

/* "hostile <what> <result>" as one line. */
static void tell(const char* what, long result) {
  char line[128], digits[24];
  long at = 0, i, count = 0;
  unsigned long left = result < 0 ? -(unsigned long)result : (unsigned long)result;
  for (i = 0; i < length("hostile "); ++i) line[at++] = "hostile "[i];
  for (i = 0; i < length(what) && at < 90; ++i) line[at++] = what[i];
  line[at++] = ' ';
  if (result < 0) line[at++] = '-';
  do {
    digits[count++] = (char)('0' + left % 10);
    left /= 10;
  } while (left);
  while (count) line[at++] = digits[--count];
  line[at++] = '\n';
  call(kWrite, 1, (long)line, at, 0, 0);
}

static void try_files(void) {
  tell("open-passwd", call(kOpen, (long)"/etc/passwd", 0, 0, 0, 0));
  tell("open-memory", call(kOpen, (long)"/proc/1/mem", 2, 0, 0, 0));
  tell("open-device", call(kOpen, (long)"/dev/mem", 2, 0, 0, 0));
  tell("open-kernel", call(kOpen, (long)"/linux", 2, 0, 0, 0));
  tell("open-base", call(kOpen, (long)"/base.img", 2, 0, 0, 0));
  tell("open-snapshot", call(kOpen, (long)"/memory.snapshot", 2, 0, 0, 0));
  tell("create", call(kOpen, (long)"/snapshot/mine", 0102, 0644, 0, 0));
  tell("escape", call(kOpen, (long)"/../../../../etc/passwd", 0, 0, 0, 0));
  tell("mount", call(kMount, (long)"proc", (long)"/tmp", (long)"proc", 0, 0));
  tell("chmod", call(kChmod, (long)"/linux", 04777, 0, 0, 0));
}

static void try_processes(long host_pid) {
  tell("kill-host", call(kKill, host_pid, 9, 0, 0, 0));
  tell("trace-host", call(kPtrace, 16, host_pid, 0, 0, 0));
  tell("trace-keeper", call(kPtrace, 16, 1, 0, 0, 0));
  /* The keeper is the first of its namespace: no signal from inside ends it. */
  call(kKill, 1, 9, 0, 0, 0);
  tell("read-keeper", call(kProcessVmReadv, 1, 0, 0, 0, 0));
  const char* const shell[] = {"/bin/sh", "-c", "id", 0};
  tell("shell", call(kExecve, (long)shell[0], (long)shell, (long)(shell + 3), 0, 0));
  tell("setuid", call(kSetuid, 0, 0, 0, 0, 0));
  tell("unshare", call(kUnshare, 0x10000000, 0, 0, 0, 0));
}

static void try_network(const char* abstract_name) {
  struct {
    unsigned short family;
    char path[108];
  } address = {1, {0}};
  long i, unix_socket = call(kSocket, 1, 1, 0, 0, 0);
  tell("socket-inet", call(kSocket, 2, 1, 0, 0, 0));
  tell("socket-inet6", call(kSocket, 10, 1, 0, 0, 0));
  tell("socket-netlink", call(kSocket, 16, 3, 0, 0, 0));
  tell("socket-packet", call(kSocket, 17, 3, 0, 0, 0));
  for (i = 0; i < length(abstract_name); ++i) address.path[i + 1] = abstract_name[i];
  tell("connect-abstract", call(kConnect, unix_socket, (long)&address, 3 + i, 0, 0));
}

static void try_kernel(void) {
  tell("bpf", call(kBpf, 0, 0, 0, 0, 0));
  tell("keyctl", call(kKeyctl, 0, 0, 0, 0, 0));
  tell("perf", call(kPerfEventOpen, 0, 0, 0, 0, 0));
  tell("userfaultfd", call(kUserfaultfd, 0, 0, 0, 0, 0));
  tell("io_uring", call(kIoUringSetup, 1, 0, 0, 0, 0));
}

static void try_processes_without_end(void) {
  long children, child = 0;
  for (children = 0; children < 100000; ++children) {
    child = call(kFork, 0, 0, 0, 0, 0);
    if (child == 0) {
      for (;;) call(kPause, 0, 0, 0, 0, 0);
    }
    if (child < 0) break;
  }
  tell("forks", children);
  tell("fork", child);
}

static void try_memory_without_end(void) {
  long got, place;
  for (got = 0; got < MOST_MEMORY_MIB; ++got) {
    place = call(kMmap, 0, 1 << 20, 3, 0x22, -1);
    if (place < 0) break;
    for (long i = 0; i < 1 << 20; i += 4096) ((volatile char*)place)[i] = 1;
    if (got % 16 == 15) tell("memory-mib", got + 1);
  }
  tell("memory", got);
}

__attribute__((noreturn)) void start(void) {
  tell("runs", 1);
  try_files();
  try_processes(HOST_PID);
  try_network(ABSTRACT_NAME);
  try_kernel();
  try_processes_without_end();
  try_memory_without_end();
  tell("survived", 1);
  for (;;) call(kExit, 3, 0, 0, 0, 0);
}
