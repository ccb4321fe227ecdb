// Whether a branch or an address depends on a secret's value, as valgrind's memcheck sees it:
//
//     valgrind --quiet --error-limit=no bin/constant_time
//
// Prints for each subject how often memcheck complained. Fails if it did where it must not, or did not where it must.
#include <cstdio>

#include <sodium.h>

#include "common/secret.hpp"
#include "tests/constant_time/hidden.hpp"
#include "tests/constant_time/subjects.hpp"

using namespace oneknock;

// Linked with --wrap=sodium_memcmp. That two tags or secrets are equal is what the caller wants to know and acts upon;
// how sodium_memcmp finds out must depend on neither. Any other comparison is not declassified, and complained of.
extern "C" {
int __real_sodium_memcmp(const void* one, const void* other, size_t size);
int __wrap_sodium_memcmp(const void* one, const void* other, size_t size) {
    int result = __real_sodium_memcmp(one, other, size);
    declassify(result);
    return result;
}
}

namespace {

enum class Expected { none, some };

bool check(const Subject& subject, Expected expected) {
    const std::size_t before = complaints();
    const bool right = subject.run();
    const std::size_t count = complaints() - before;
    const bool good = right && (count == 0) == (expected == Expected::none);
    std::printf("%-56s %6zu complaints%s%s\n", subject.name, count, right ? "" : "; WRONG RESULT",
                good ? "" : (expected == Expected::none ? "; NONE EXPECTED" : "; SOME EXPECTED"));
    return good;
}

bool check_all(std::span<const Subject> subjects, Expected expected) {
    bool good = true;
    for (const Subject& subject : subjects) good = check(subject, expected) && good;
    return good;
}

}  // namespace

int main() {
    constexpr int skipped = 77;
    if (RUNNING_ON_VALGRIND == 0) {
        std::fputs("constant_time says nothing without valgrind: valgrind --quiet --error-limit=no constant_time\n",
                   stderr);
        return skipped;
    }
    initialise_crypto();
    bool good = check_all(constant_time_subjects(), Expected::none);
    good = check_all(dependent_subjects(), Expected::some) && good;
    good = check_all(faulty_subjects(), Expected::some) && good;
    return good ? 0 : 1;
}
