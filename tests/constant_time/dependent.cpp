#include <cstring>

#include "common/protocol/codebook.hpp"
#include "common/protocol/key_schedule.hpp"
#include "server/gatekeeper/verify/hint_table.hpp"
#include "tests/constant_time/hidden.hpp"
#include "tests/constant_time/subjects.hpp"

namespace oneknock {
namespace {

const PortSpan span;
constexpr Epoch epoch{500'000};

bool builds_codebook() {
    const Codebook book = Codebook::build(hidden_secret(), span);
    std::uint16_t port = book.port({1, 2});
    declassify(port);
    return port >= 1024;
}

// Into a book that is no secret itself, so that the look-up alone is looked at.
bool looks_ports_up() {
    Secret32 seed = Secret32::random();
    Codebook book = Codebook::build(seed, span);
    std::uint16_t port = book.port({1, 2});
    hide(port);
    auto symbol = book.symbol(port);
    declassify(symbol);
    return symbol && *symbol == Symbol{1, 2};
}

bool finds_ports_of_word() {
    Bytes<codeword_length> word{};
    auto ports = ports_of(word, hidden_secret(), span);
    declassify(ports);
    return ports[0] != ports[1];
}

bool sorts_hints() {
    HintTable table(epoch, 3);
    for (int i = 0; i < 3; ++i) table.add(hint_for(hidden_secret(), epoch));
    return table.complete();
}

bool reads_base64() {
    Secret32 secret = Secret32::random(), read;
    char text[base64_secret_length];
    secret_to_base64(secret, text);
    hide(text);
    bool is_read = secret_from_base64({text, sizeof text}, read);
    declassify(is_read);
    return is_read && read.equals(secret);
}

bool compares_with_memcmp() {
    Secret32 one = hidden_secret(), other = hidden_secret();
    bool differ = std::memcmp(one.data(), other.data(), Secret32::size) != 0;
    declassify(differ);
    return differ;
}

bool looks_up_by_secret() {
    static std::uint8_t table[256];
    const Secret32 secret = hidden_secret();
    bool is_zero = table[secret.data()[0]] == 0;
    declassify(is_zero);
    return is_zero;
}

bool branches_on_derived_key() {
    const MessageKeys keys = derive_message_keys(hidden_secret());
    volatile int zeros = 0;
    if (keys.mac.data()[0] == 0) zeros = 1;
    static_cast<void>(zeros);
    return true;
}

}  // namespace

std::span<const Subject> dependent_subjects() {
    static constexpr Subject subjects[] = {
        {"a codebook built", builds_codebook},
        {"a port looked up in a codebook", looks_ports_up},
        {"the ports of a code word found", finds_ports_of_word},
        {"hints sorted", sorts_hints},
        {"a secret read from base64", reads_base64},
    };
    return subjects;
}

std::span<const Subject> faulty_subjects() {
    static constexpr Subject subjects[] = {
        {"fault: secrets compared with memcmp", compares_with_memcmp},
        {"fault: a table looked up by a secret", looks_up_by_secret},
        {"fault: a branch on a derived key", branches_on_derived_key},
    };
    return subjects;
}

}  // namespace oneknock
