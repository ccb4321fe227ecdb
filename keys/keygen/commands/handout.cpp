#include "keys/keygen/commands/handout.hpp"

namespace oneknock::keygen {

Result<SecretBytes> text_of(const Handout& handout, const KeyFile& key) {
    if (!handout.page) return key_file_text(key);
    auto page = make_page(key, handout.page_template);
    if (!page) return tl::unexpected(page.error());
    return print_passphrase(page->passphrase).map([&] { return std::move(page->text); });
}

}  // namespace oneknock::keygen
