// Guesses at a door with a hundred clients: none may open it, and the clients' own messages must.
//
//     guess [MESSAGES [PORTS]]     of each kind
//
// Prints a line for each kind, with how many were tried in a second of processor time; fails if a guess was verified,
// or a client's message was not.
#include <charconv>
#include <cstdio>
#include <cstring>
#include <optional>

#include "server/privsep/sandbox.hpp"
#include "tests/guess/messages.hpp"
#include "tests/guess/ports.hpp"

using namespace oneknock;

namespace {

constexpr std::size_t clients = 100;
constexpr std::uint64_t few = 200'000;  // of each kind: seconds in all

std::optional<std::uint64_t> count_of(const char* text) {
    std::uint64_t count = 0;
    const char* const all = text + std::strlen(text);
    const auto [end, error] = std::from_chars(text, all, count);
    return error == std::errc{} && end == all ? std::optional(count) : std::nullopt;
}

bool report(const std::vector<Outcome>& outcomes) {
    bool good = true;
    for (const Outcome& one : outcomes) {
        std::printf("%-44s %12llu tried, %11llu asked, %llu opened, %11.0f a second%s\n", one.kind.c_str(),
                    static_cast<unsigned long long>(one.tried), static_cast<unsigned long long>(one.asked),
                    static_cast<unsigned long long>(one.opened), static_cast<double>(one.tried) / one.seconds,
                    one.real_ones_verified ? "" : "; A CLIENT'S OWN WAS REFUSED");
        good = good && one.is_good();
    }
    std::fflush(stdout);
    return good;
}

}  // namespace

int main(int argc, char* argv[]) {
    const auto messages = argc > 1 ? count_of(argv[1]) : few;
    const auto ports = argc > 2 ? count_of(argv[2]) : few;
    if (argc > 3 || !messages || !ports) {
        std::fputs("usage: guess [MESSAGES [PORTS]]\n", stderr);
        return 64;
    }
    initialise_crypto();
    raise_locked_memory_limit();
    BenchDoor door(clients);
    bool good = *messages == 0 || report(guess_messages(door, *messages));
    if (*ports > 0) good = report(guess_ports(door, *ports)) && good;
    return good ? 0 : 1;
}
