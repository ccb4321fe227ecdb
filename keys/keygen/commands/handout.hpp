// What a client is handed: a key file, in the clear or sealed for one machine, a web page with the sealed key in it, or
// a QR code of the sealed key.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/result.hpp"
#include "common/secret.hpp"
#include "keys/enrolment.hpp"
#include "keys/key_file.hpp"
#include "keys/page.hpp"

namespace oneknock::keygen {

struct Handout {
    enum class Form : std::uint8_t { key_file, page, code_on_terminal, picture_of_code };

    Form form = Form::key_file;
    std::optional<Enrolment> recipient;  // key files: sealed for whoever has the other half
    std::string page_template = installed_page();
    std::string page_url;  // codes: of the page that shall open with the key; empty: the code is the key alone

    [[nodiscard]] bool is_in_clear() const { return form == Form::key_file && !recipient; }
    [[nodiscard]] bool is_code() const { return form == Form::code_on_terminal || form == Form::picture_of_code; }
};

// ExitCode::usage where what is handed out could not be imported any more.
[[nodiscard]] Result<void> check_recipient(const Handout& handout, UnixTime now);

// The file's text, or what is to be shown. The passphrase of a page or a code is printed on standard output, the words
// of a sealed key file on standard error.
[[nodiscard]] Result<SecretBytes> text_of(const Handout& handout, const KeyFile& key);

}  // namespace oneknock::keygen
