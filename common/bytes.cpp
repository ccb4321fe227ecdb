#include "common/bytes.hpp"

#include <sodium.h>

namespace oneknock {

std::string to_hex(ByteSpan bytes) {
    std::string text(bytes.size() * 2 + 1, '\0');
    sodium_bin2hex(text.data(), text.size(), bytes.data(), bytes.size());
    text.pop_back();
    return text;
}

bool from_hex(std::string_view text, std::span<std::uint8_t> to) {
    std::size_t written = 0;
    return text.size() == to.size() * 2 &&
           sodium_hex2bin(to.data(), to.size(), text.data(), text.size(), nullptr, &written, nullptr) == 0 &&
           written == to.size();
}

}  // namespace oneknock
