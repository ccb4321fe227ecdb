// The person at the terminal: what they are told, what they answer, and whether they break off.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include <csignal>

#include "common/fd.hpp"
#include "common/result.hpp"

namespace oneknock::keygen {

// While it lasts, signals that would end this program (Ctrl-C, a closed terminal, kill) are held back and break off
// what waits; they take effect at its end, once all has been undone.
class Terminal {
public:
    // Standard input and error must be terminals: else ExitCode::usage, with the commands that need none.
    [[nodiscard]] static Result<Terminal> open();
    ~Terminal();
    Terminal(Terminal&& other) noexcept;
    Terminal& operator=(Terminal&&) = delete;
    Terminal(const Terminal&) = delete;
    Terminal& operator=(const Terminal&) = delete;

    // On standard error, with a line feed. One that is gone is not an error: what has begun is undone all the same.
    static void say(std::string_view line);
    // A command as a script would have it, before its work is done here.
    static void show_command(std::string_view command);

    // Asks until `check` has nothing against the answer. An empty one is `proposal`, unless that is empty.
    // ExitCode::try_later if the person breaks off.
    template <class T>
    [[nodiscard]] Result<T> ask(const std::string& question, const std::string& proposal,
                                const std::function<Result<T>(const std::string&)>& check) const {
        for (;;) {
            const auto answer = ask_once(question, proposal);
            if (!answer) return tl::unexpected(answer.error());
            auto right = check(*answer);
            if (right) return right;
            say(right.error().message);
        }
    }

    // A line without its line feed and the blanks around it.
    [[nodiscard]] Result<std::string> read_line() const;

    // To be polled: an answer, or the wish to break off; the latter stays readable.
    [[nodiscard]] int answers() const;
    [[nodiscard]] int breaks() const { return breaks_.get(); }
    [[nodiscard]] bool is_broken_off() const;
    [[nodiscard]] static Error broken_off() { return {ExitCode::try_later, "broken off"}; }

private:
    Terminal(Descriptor breaks, const sigset_t& before) : breaks_(std::move(breaks)), before_(before) {}
    [[nodiscard]] Result<std::string> ask_once(const std::string& question, const std::string& proposal) const;

    Descriptor breaks_;
    sigset_t before_{};
};

}  // namespace oneknock::keygen
