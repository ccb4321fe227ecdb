// What a client is handed: a key file, or a web page with the sealed key in it.
#pragma once

#include <string>

#include "common/result.hpp"
#include "common/secret.hpp"
#include "keys/key_file.hpp"
#include "keys/page.hpp"

namespace oneknock::keygen {

struct Handout {
    bool page = false;
    std::string page_template = installed_page;
};

// The file's text. The passphrase of a page is printed on standard output.
[[nodiscard]] Result<SecretBytes> text_of(const Handout& handout, const KeyFile& key);

}  // namespace oneknock::keygen
