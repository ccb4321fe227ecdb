#include "keys/keygen/commands/handout.hpp"

#include <algorithm>
#include <cstdlib>

#include <unistd.h>

#include "common/log.hpp"
#include "keys/compact_key.hpp"
#include "keys/keygen/qr/qr_code.hpp"

namespace oneknock::keygen {
namespace {

SecretBytes bytes_of(ByteSpan bytes) {
    SecretBytes copy(bytes.size());
    std::ranges::copy(bytes, copy.bytes().begin());
    return copy;
}

Result<SecretBytes> page_text(const Handout& handout, const KeyFile& key) {
    auto page = make_page(key, handout.page_template);
    if (!page) return tl::unexpected(page.error());
    return print_passphrase(page->passphrase).map([&] { return std::move(page->text); });
}

// A page needs numeric addresses; `oneknock import` takes the door's name.
Result<std::string> text_in_code(const Handout& handout, const KeyFile& key, EncryptedKey sealed) {
    const bool is_link = !handout.page_url.empty();
    const auto addresses = is_link ? addresses_for_page(key) : std::vector<Address>{};
    if (!addresses) return tl::unexpected(addresses.error());
    const std::string before =
        is_link ? handout.page_url + std::string(compact_key_fragment) : std::string(compact_key_mark);
    return compact_key_text({std::move(sealed), *addresses}).map([&](const std::string& text) {
        return before + text;
    });
}

Result<SecretBytes> shown(const Handout& handout, const QrCode& code) {
    if (handout.form == Handout::Form::picture_of_code) return png_picture(code).map(bytes_of);
    const bool colours = isatty(STDOUT_FILENO) != 0 && getenv("NO_COLOR") == nullptr;
    return bytes_of(as_bytes(terminal_text(code, colours)));
}

Result<SecretBytes> code_of(const Handout& handout, const KeyFile& key) {
    auto sealed = seal_for_anyone(key);
    if (!sealed) return tl::unexpected(sealed.error());
    auto text =
        text_in_code(handout, key, std::move(sealed->key)).and_then(QrCode::of).and_then([&](const QrCode& code) {
            return shown(handout, code);
        });
    if (!text) return text;
    return print_passphrase(sealed->passphrase).map([&] { return *std::move(text); });
}

Result<SecretBytes> sealed_text_of(const Enrolment& recipient, const KeyFile& key) {
    return seal_for_one(key, recipient).map([](const SealedForOne& sealed) {
        log::info("words: " + enrolment_words(sealed));
        return sealed_text(sealed);
    });
}

}  // namespace

Result<void> check_recipient(const Handout& handout, UnixTime now) {
    if (!handout.recipient || handout.recipient->expires > now) return {};
    return fail(ExitCode::usage, "--for: the string expired at " + time_text(handout.recipient->expires) +
                                     "; ask for a new one, from `oneknock enrol`");
}

Result<SecretBytes> text_of(const Handout& handout, const KeyFile& key) {
    if (handout.is_code()) return code_of(handout, key);
    if (handout.recipient) return sealed_text_of(*handout.recipient, key);
    return handout.form == Handout::Form::page ? page_text(handout, key) : key_file_text(key);
}

}  // namespace oneknock::keygen
