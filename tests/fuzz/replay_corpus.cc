// The main function of a fuzz target in ordinary builds: runs it over every file of the given
// folders and over a bounded number of deterministic mutations of each, so that the corpus guards
// against regressions with any compiler.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <system_error>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using Input = std::vector<std::uint8_t>;

constexpr std::size_t mutations_of_each = 256;
constexpr std::size_t largest_input_bytes = 1 << 20;

// Inputs live at the end of an allocation of just their size, so that AddressSanitizer sees the
// first octet read behind them.
void run(const Input& input) {
  const Input copy(input.begin(), input.end());
  static constexpr std::uint8_t nothing = 0;
  LLVMFuzzerTestOneInput(copy.empty() ? &nothing : copy.data(), copy.size());
}

class Mutator {
 public:
  Input mutate(const Input& original) {
    Input input = original;
    const std::size_t steps = 1 + below(4);
    for (std::size_t step = 0; step < steps; ++step) change_once(input);
    return input;
  }

 private:
  // Modulo rather than a distribution: the sequence is then the same with every library.
  std::size_t below(std::size_t bound) { return static_cast<std::size_t>(random_()) % bound; }

  void change_once(Input& input) {
    static constexpr std::array<std::uint8_t, 8> interesting = {0,    1,    0x3f, 0x40,
                                                                0x7f, 0x80, 0xc0, 0xff};
    if (input.empty()) return input.push_back(static_cast<std::uint8_t>(random_()));
    const std::size_t at = below(input.size());
    const auto position = input.begin() + static_cast<std::ptrdiff_t>(at);
    switch (below(5)) {
      case 0:
        input[at] = static_cast<std::uint8_t>(input[at] ^ (1U << below(8)));
        break;
      case 1:
        input[at] = interesting[below(interesting.size())];
        break;
      case 2:
        input.resize(at);
        break;
      case 3:
        input.erase(position);
        break;
      default:
        input.insert(position, interesting[below(interesting.size())]);
        break;
    }
  }

  std::mt19937 random_{20040101};
};

// Every strict prefix of short inputs, then random mutations.
std::size_t run_with_mutations(const Input& input) {
  run(input);
  std::size_t runs = 1;
  for (std::size_t length = 0; length < std::min<std::size_t>(input.size(), 512); ++length) {
    run(Input(input.begin(), input.begin() + static_cast<std::ptrdiff_t>(length)));
    ++runs;
  }
  Mutator mutator;
  for (std::size_t mutation = 0; mutation < mutations_of_each; ++mutation) {
    run(mutator.mutate(input));
    ++runs;
  }
  return runs;
}

bool read_input(const std::filesystem::path& path, Input& input) {
  std::ifstream stream(path, std::ios::binary);
  input.assign(std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>());
  return stream && input.size() <= largest_input_bytes;
}

std::vector<std::filesystem::path> files_of(const std::filesystem::path& path) {
  if (!std::filesystem::is_directory(path)) return {path};
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(path))
    if (entry.is_regular_file()) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

int main(int argument_count, char** arguments) try {
  std::size_t file_count = 0;
  std::size_t run_count = 0;
  for (int index = 1; index < argument_count; ++index) {
    for (const auto& path : files_of(arguments[index])) {
      Input input;
      if (!read_input(path, input)) {
        std::fprintf(stderr, "%s: cannot read it, or it is over 1 MiB\n", path.c_str());
        return 1;
      }
      run_count += run_with_mutations(input);
      ++file_count;
    }
  }
  if (file_count == 0) {
    std::fprintf(stderr, "usage: %s FOLDER...   (no corpus file was found)\n", arguments[0]);
    return 2;
  }
  std::printf("replayed %zu files, %zu runs with mutations\n", file_count, run_count);
  return 0;
} catch (const std::filesystem::filesystem_error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
