#include "keys/keygen/commands/advice.hpp"

#include <unistd.h>

#include "common/log.hpp"
#include "keys/keygen/folder/staged_key_file.hpp"

namespace oneknock::keygen {

void warn_of_source(const SourcePolicy& policy) {
    if (policy.mode() == SourcePolicy::Mode::same) return;
    log::warning("with the source policy " + policy.text() + ", whoever copies a knock of this client " +
                 "and delivers it first may be let in; prefer `same` if the client knows its address");
}

void tell_next_step(const Handout& handout, const std::string& key_file) {
    using Form = Handout::Form;
    if (handout.form == Form::code_on_terminal)
        return log::info(
            "next: scan the code and give the user the passphrase by another way; then clear the screen. A " +
            std::string("photograph of both is the key"));
    if (handout.form == Form::page || handout.form == Form::picture_of_code)
        return log::info("next: copy " + key_file + " to the client, give its user the passphrase by another way, " +
                         "and remove the file here");
    if (key_file == standard_output && (!handout.recipient || isatty(STDOUT_FILENO) == 0)) return;
    if (handout.recipient)
        return log::info(
            "next: send " + (key_file == standard_output ? "what was printed" : key_file) +
            " to the client's user, who runs `oneknock import` on it; compare the words above with those " +
            "shown there, by a way on which nobody else can change them, such as a call");
    log::info("next: copy " + key_file + " to the client, run `oneknock import` on it there, and remove it here");
}

}  // namespace oneknock::keygen
