// A sealed key in few bytes, for a QR code or the fragment of a link (docs/protocol.md, "A sealed key in few bytes").
//
// It holds what the file of kind "locked-client-key" holds, and is judged by the same rules.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/protocol/address.hpp"
#include "common/result.hpp"
#include "keys/key_file.hpp"

namespace oneknock {

struct CompactKey {
    EncryptedKey key;
    std::vector<Address> addresses;  // the door's, for a browser's page; empty where its name will do
};

// More would not fit into a QR code that a terminal can show and a phone can read.
inline constexpr std::size_t longest_compact_key = 300;

// What the text of a code begins with, and what comes before the key in a link.
inline constexpr std::string_view compact_key_mark = "oneknock-key:";
inline constexpr std::string_view compact_key_fragment = "#key=";

// In base64url, without one of the marks. ExitCode::data where it would be longer than longest_compact_key.
[[nodiscard]] Result<std::string> compact_key_text(const CompactKey& key);

// Whether a file or whatever else a user has is such a text, alone or in a link, rather than a key file.
[[nodiscard]] bool is_compact_key(std::string_view text);

// With one of the marks; white space at the end is of no matter. `name` is the file's, for messages.
[[nodiscard]] Result<CompactKey> parse_compact_key(std::string_view text, const std::string& name);

}  // namespace oneknock
