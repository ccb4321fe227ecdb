// Runs a fuzz target over its seeds and the files of a folder, with whatever compiler there is. The name of each file
// is said before: the last one is the one that failed.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv);
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

void run(const std::string& name, const oneknock::fuzz::Bytes& bytes) {
    std::fprintf(stderr, "%s\n", name.c_str());
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
}

}  // namespace

int main(int argc, char* argv[]) {
    LLVMFuzzerInitialize(&argc, &argv);
    if (argc != 2) return 64;
    std::size_t count = 0;
    for (const auto& seed : oneknock::fuzz::seeds()) run("seed " + std::to_string(count++), seed);
    for (const auto& entry : std::filesystem::recursive_directory_iterator(argv[1])) {
        std::ifstream file(entry.path(), std::ios::binary);
        run(entry.path(), {std::istreambuf_iterator<char>(file), {}});
        ++count;
    }
    std::fprintf(stderr, "%zu inputs\n", count);
    return count > 0 ? 0 : 1;
}
