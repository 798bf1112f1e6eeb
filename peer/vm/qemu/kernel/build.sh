#!/bin/bash
# Builds the guest kernel of the QEMU engine from Debian's kernel source.
set -euo pipefail

usage() {
  cat <<'HELP'
usage: build.sh [--help] [--digest]

Unpacks linux-source-6.12, configures allnoconfig for x86_64 plus the fragment `config`, and
builds one bzImage without modules. It boots the disks of peer/vm/uml/base.

The kernel is kept at ${MUTUA_CACHE:-$HOME/.cache/mutua}/qemu-kernel/<digest>/bzImage and
built again only when the script, the configuration, the source or the compiler changes. Its
path is the only line on stdout; progress goes to stderr.

  --digest   print the digest alone

environment:
  MUTUA_CACHE          the cache's folder
  MUTUA_LINUX_SOURCE   the source archive (default /usr/src/linux-source-6.12.tar.xz)
  MUTUA_JOBS           parallel compilers (default: one for each processor)

needs: apt-get install linux-source-6.12 gcc make flex bison bc xz-utils lz4 libelf-dev
ccache is used where it is installed.
HELP
}

say() { echo "qemu kernel: $*" >&2; }
fail() { say "$*"; exit 1; }

only_digest=no
case "${1:-}" in
  --help | -h) usage; exit 0 ;;
  --digest) only_digest=yes ;;
  '') ;;
  *) usage >&2; exit 2 ;;
esac

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
readonly here
readonly cache="${MUTUA_CACHE:-$HOME/.cache/mutua}/qemu-kernel"
readonly archive="${MUTUA_LINUX_SOURCE:-/usr/src/linux-source-6.12.tar.xz}"
readonly jobs="${MUTUA_JOBS:-$(nproc)}"
export LC_ALL=C TZ=UTC

[[ -f "$archive" ]] || fail "$archive is missing: apt-get install linux-source-6.12"
for tool in gcc make flex bison bc xz lz4; do
  command -v "$tool" > /dev/null || fail "$tool is missing: see --help"
done

sources_digest() {
  {
    # The package's version stands for its 140 MiB where the archive comes from the package.
    if ! dpkg-query -W -f '${Version}\n' linux-source-6.12 2> /dev/null \
      || [[ "$archive" != /usr/src/linux-source-6.12.tar.xz ]]; then
      sha256sum < "$archive"
    fi
    gcc --version | head -1
    ld --version | head -1
    cd "$here"
    sha256sum build.sh config
  } | sha256sum | cut -c1-32
}

digest="$(sources_digest)"
readonly digest
if [[ "$only_digest" == yes ]]; then
  echo "$digest"
  exit 0
fi
readonly result="$cache/$digest/bzImage"
if [[ -f "$result" ]]; then
  say "cached"
  echo "$result"
  exit 0
fi

mkdir -p "$cache"
work="$(mktemp -d "$cache/.build.XXXXXX")"
readonly work
trap 'rm -rf "$work"' EXIT
readonly tree="$work/linux"
readonly started="$SECONDS"

say "unpacking $archive"
mkdir "$tree"
tar --extract --file "$archive" --directory "$tree" --strip-components=1 \
  --exclude='linux-source-*/Documentation/*/*' --exclude='linux-source-*/tools/testing'

# Everything that would tell one build from another is pinned.
export SOURCE_DATE_EPOCH=1735689600
export KBUILD_BUILD_TIMESTAMP='Wed Jan  1 00:00:00 UTC 2025'
export KBUILD_BUILD_USER=mutua KBUILD_BUILD_HOST=mutua KBUILD_BUILD_VERSION=1
readonly prefix_map="-ffile-prefix-map=$tree/=./ -ffile-prefix-map=$tree=."
compiler=gcc
if command -v ccache > /dev/null; then
  compiler='ccache gcc'
  export CCACHE_BASEDIR="$tree" CCACHE_NOHASHDIR=1 CCACHE_COMPILERCHECK=content
fi
build() {
  make --directory="$tree" ARCH=x86_64 CC="$compiler" HOSTCC="$compiler" \
    KCFLAGS="$prefix_map" KAFLAGS="$prefix_map" "$@" >> "$work/build.log" 2>&1 \
    || { grep -B2 -A8 -m5 -E 'error|Error' "$work/build.log" >&2; fail "make $* failed"; }
}

say "configuring"
build KCONFIG_ALLCONFIG="$here/config" allnoconfig
while read -r line; do
  grep -qxF -- "$line" "$tree/.config" || fail "the configuration lost: $line"
done < <(grep -E '^(CONFIG_|# CONFIG_.* is not set)' "$here/config")

say "compiling with $jobs jobs"
build -j"$jobs" bzImage

mkdir "$work/out"
cp "$tree/arch/x86/boot/bzImage" "$work/out/bzImage"
cp "$tree/.config" "$work/out/config"
chmod 755 "$work/out"
chmod 644 "$work/out/bzImage"
# A rename is one step: the cache never holds half a kernel, and of two builders one wins.
mv -T "$work/out" "$cache/$digest" 2> /dev/null || [[ -f "$result" ]] || fail "cannot place $result"
say "done: $(stat -c %s "$result") bytes in $((SECONDS - started)) s"
echo "$result"
