#include "client/commands/confirm_sealed.hpp"

#include "client/door/question.hpp"
#include "common/log.hpp"
#include "common/text.hpp"
#include "keys/spelled_words.hpp"

namespace oneknock {
namespace {

std::string services_text(const KeyFile& key) {
    return join(key.services, [](const auto& named) { return named.first + " (" + named.second.text() + ")"; });
}

// Lines of a name and what it is.
std::string description(const KeyFile& key, const SealedAs& sealed) {
    return "door        " + key.door.name + " at " + key.door.address + ", id " + to_hex(key.door.id.bytes) +
           "\nclient      " + key.client.name + ", generation " + std::to_string(key.client.generation) +
           "\nmay open    " + services_text(key) + "\nsource      " + key.client.source.text() + "\nat most     " +
           duration_text(key.client.max_duration) + "\nexpires     " +
           (key.expires ? time_text(*key.expires) : "never") + "\nwords       " + sealed.words;
}

tl::unexpected<Error> are_not_the_words(const SealedAs& sealed) {
    return fail(ExitCode::data, "these are not the words of the key, which are: " + sealed.words +
                                    "; somebody may have put another key, or another string, in place of the right "
                                    "one on the way. Nothing was imported; ask the administrator by another way");
}

Result<void> ask(const KeyFile& key, const SealedAs& sealed) {
    const auto answer = ask_on_terminal(description(key, sealed) +
                                        "\nCompare the words with those that the administrator has, by a way on which "
                                        "nobody else\ncan change them, such as a call. Are they the same? "
                                        "(yes/no/the administrator's words) ");
    if (!answer)
        return fail(answer.error().code, answer.error().message + "; compare the words, which are: " + sealed.words +
                                             "; in a script, give the administrator's with --words, or --yes");
    if (*answer == "yes" || are_same_words(*answer, sealed.words)) return {};
    if (answer->find(' ') != std::string::npos) return are_not_the_words(sealed);
    return fail(ExitCode::no_input, "nothing was imported: the answer was neither yes nor the words");
}

}  // namespace

Result<void> confirm_sealed(const KeyFile& key, const SealedAs& sealed, const ImportOptions& options) {
    if (!options.words && !options.yes) return ask(key, sealed);
    log::info(description(key, sealed));
    return !options.words || are_same_words(*options.words, sealed.words) ? Result<void>{} : are_not_the_words(sealed);
}

}  // namespace oneknock
