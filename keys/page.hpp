// A client's key as a web page, for machines without oneknock: client/web/page.html with the sealed key in it.
//
// Whoever has the file can try passphrases for ever, so the passphrase is never chosen by people: 76 bits, whatever
// the memory-hard function costs besides.
#pragma once

#include <string>
#include <vector>

#include "common/protocol/address.hpp"
#include "common/result.hpp"
#include "common/secret.hpp"
#include "keys/key_file.hpp"

namespace oneknock {

// Six words such as "bako lumi tesa fori gupo nane": 6,400 possible ones each.
[[nodiscard]] SecretBytes generate_passphrase();

// A key that anyone may get to see, and its new passphrase.
struct SealedKey {
    EncryptedKey key;
    SecretBytes passphrase;
};
[[nodiscard]] Result<SealedKey> seal_for_anyone(const KeyFile& key);

// The numeric addresses of a host, each once: a browser given a name would choose the family itself.
// ExitCode::unavailable where it cannot be resolved.
[[nodiscard]] Result<std::vector<Address>> numeric_addresses(const std::string& host);

// The door's; ExitCode::usage where the key may not be used by a page, which never knows its own address.
[[nodiscard]] Result<std::vector<Address>> addresses_for_page(const KeyFile& key);

struct Page {
    SecretBytes text;
    SecretBytes passphrase;
};

// Fails as addresses_for_page() does, and with ExitCode::no_input or ExitCode::data where the template, the page
// without a key, is missing or is something else.
[[nodiscard]] Result<Page> make_page(const KeyFile& key, const std::string& template_path);

// "passphrase: ..." on standard output.
[[nodiscard]] Result<void> print_passphrase(const SecretBytes& passphrase);

// Where `cmake --install` puts the template, seen from the program that runs.
[[nodiscard]] std::string installed_page();

}  // namespace oneknock
