#include "common/findings.hpp"

#include <algorithm>

#include "common/fd.hpp"
#include "common/json.hpp"
#include "common/text.hpp"

namespace oneknock {
namespace {

constexpr std::size_t verdict_width = 9, check_width = 12;

const char* word(Finding::Verdict verdict) {
    constexpr const char* words[] = {"ok", "warning", "failed", "unknown"};
    return words[static_cast<std::size_t>(verdict)];
}

std::string padded(std::string text, std::size_t width) {
    text.resize(std::max(width, text.size() + 1), ' ');
    return text;
}

std::string indented(const std::string& text) {
    const std::string margin(verdict_width + check_width, ' ');
    std::string result;
    for (std::size_t at = 0; at <= text.size();) {
        const auto end = std::min(text.find('\n', at), text.size());
        result += (at == 0 ? "" : "\n" + margin) + printable(text.substr(at, end - at));
        at = end + 1;
    }
    return result;
}

}  // namespace

std::string finding_text(const Finding& finding) {
    std::string text = finding.text;
    if (!finding.advice.empty()) text += "\n-> " + finding.advice;
    return padded(word(finding.verdict), verdict_width) + padded(finding.check, check_width) + indented(text) + "\n";
}

std::string findings_json(const std::vector<Finding>& findings) {
    std::string text = R"({"schema":1,"checks":[)";
    for (const Finding& finding : findings) {
        if (&finding != findings.data()) text += ",";
        text += R"({"check":)" + json::quote(finding.check) + R"(,"verdict":)" + json::quote(word(finding.verdict)) +
                R"(,"found":)" + json::quote(finding.text) + R"(,"advice":)" +
                (finding.advice.empty() ? "null" : json::quote(finding.advice)) + "}";
    }
    return text + "]}";
}

bool Findings::add(Finding finding) {
    if (!json_ && written_) written_ = write_standard_output(as_bytes(finding_text(finding)));
    all_.push_back(std::move(finding));
    return all_.back().verdict != Finding::Verdict::failed;
}

Result<int> Findings::finish() {
    if (json_) written_ = write_standard_output(as_bytes(findings_json(all_) + "\n"));
    if (!written_) return tl::unexpected(written_.error());
    const auto is_failed = [](const Finding& finding) { return finding.verdict == Finding::Verdict::failed; };
    const auto first = std::ranges::find_if(all_, is_failed);
    return first == all_.end() ? 0 : static_cast<int>(first->code);
}

}  // namespace oneknock
