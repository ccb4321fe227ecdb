#include "tests/fuzz/fuzz.hpp"

#include <cstdio>
#include <filesystem>
#include <fstream>

#include <sodium.h>

#include "common/secret.hpp"

namespace oneknock::fuzz {
namespace {

// A finding must be one again when it is replayed, so what the code draws at random is the same in each run.
std::uint32_t drawn = 0;

const char* generator_name() { return "counting"; }

std::uint32_t draw() {
    std::uint32_t x = ++drawn * 0x9e3779b9U;
    x = (x ^ x >> 16) * 0x85ebca6bU;
    return x ^ x >> 13;
}

void draw_many(void* to, std::size_t size) {
    for (auto* byte = static_cast<std::uint8_t*>(to); size > 0; --size) *byte++ = static_cast<std::uint8_t>(draw());
}

void write_seeds(const std::string& folder) {
    std::filesystem::create_directories(folder);
    int number = 0;
    for (const Bytes& seed : seeds()) {
        std::ofstream file(folder + "/seed-" + std::to_string(number++), std::ios::binary);
        file.write(reinterpret_cast<const char*>(seed.data()), static_cast<std::streamsize>(seed.size()));
    }
}

}  // namespace

void broken(const char* promise, const char* file, int line) {
    std::fprintf(stderr, "%s:%d: broken: %s\n", file, line, promise);
    std::abort();
}

}  // namespace oneknock::fuzz

// libFuzzer leaves options with two dashes to the target.
extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
    using namespace oneknock;
    static randombytes_implementation generator{fuzz::generator_name, fuzz::draw, nullptr, nullptr,
                                                fuzz::draw_many,      nullptr};
    randombytes_set_implementation(&generator);
    initialise_crypto();
    for (int i = 1; i < *argc; ++i) {
        const std::string_view option((*argv)[i]), name("--write-seeds=");
        if (!option.starts_with(name)) continue;
        fuzz::write_seeds(std::string(option.substr(name.size())));
        std::exit(0);
    }
    return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    oneknock::fuzz::drawn = 0;
    oneknock::fuzz::one_input(oneknock::fuzz::Input({data, size}));
    return 0;
}
