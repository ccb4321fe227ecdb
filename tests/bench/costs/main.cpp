#include <benchmark/benchmark.h>

#include "common/secret.hpp"
#include "server/privsep/sandbox.hpp"

int main(int argc, char* argv[]) {
    oneknock::initialise_crypto();
    oneknock::raise_locked_memory_limit();  // for the keys of many clients
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 64;
    benchmark::RunSpecifiedBenchmarks();
}
