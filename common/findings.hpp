// What `oneknock doctor` and `oneknockd --check-config` find: a line a check as soon as it is known, or one JSON object
// at the end.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/result.hpp"

namespace oneknock {

struct Finding {
    enum class Verdict : std::uint8_t {
        ok,
        warning,
        failed,
        unknown,  // it could not be looked at
    };
    std::string check;  // a word: what was looked at
    Verdict verdict = Verdict::ok;
    std::string text;              // what was found
    std::string advice;            // what to do about it; empty if nothing
    ExitCode code = ExitCode::ok;  // of one that failed
};

[[nodiscard]] inline Finding sound(std::string check, std::string text) {
    return {std::move(check), Finding::Verdict::ok, std::move(text), {}};
}
[[nodiscard]] inline Finding doubtful(std::string check, std::string text, std::string advice) {
    return {std::move(check), Finding::Verdict::warning, std::move(text), std::move(advice)};
}
[[nodiscard]] inline Finding unseen(std::string check, std::string text, std::string advice) {
    return {std::move(check), Finding::Verdict::unknown, std::move(text), std::move(advice)};
}
// The error says what to do.
[[nodiscard]] inline Finding failed(std::string check, const Error& error) {
    return {std::move(check), Finding::Verdict::failed, error.message, {}, error.code};
}

// Lines for people; further lines of a text are indented below its first.
[[nodiscard]] std::string finding_text(const Finding& finding);
[[nodiscard]] std::string findings_json(const std::vector<Finding>& findings);

class Findings {
public:
    explicit Findings(bool json) : json_(json) {}

    // False if it failed: what depends on it need not be looked at.
    bool add(Finding finding);

    // The first failure's status, 0 if there is none; an error if the output could not be written.
    [[nodiscard]] Result<int> finish();

private:
    bool json_;
    std::vector<Finding> all_;
    Result<void> written_;
};

}  // namespace oneknock
