#include "keys/source_policy.hpp"

#include <array>
#include <utility>

namespace oneknock {
namespace {

using Mode = SourcePolicy::Mode;
constexpr std::array words{std::pair{std::string_view("same"), Mode::same},
                           std::pair{std::string_view("observed"), Mode::observed},
                           std::pair{std::string_view("any"), Mode::any}};

}  // namespace

std::optional<SourcePolicy> SourcePolicy::parse(std::string_view text) {
    SourcePolicy policy;
    for (const auto& [word, mode] : words)
        if (text == word) {
            policy.mode_ = mode;
            return policy;
        }
    const auto network = Network::parse(text);
    if (!network) return std::nullopt;
    policy.mode_ = Mode::network;
    policy.network_ = *network;
    return policy;
}

std::string SourcePolicy::text() const {
    for (const auto& [word, mode] : words)
        if (mode_ == mode) return std::string(word);
    return network_.text();
}

std::optional<Address> SourcePolicy::resolve(const Address& asked, const Address& source) const {
    if (asked.family != source.family || source.is_unspecified()) return std::nullopt;
    if (asked.is_unspecified()) {
        const bool allowed =
            mode_ == Mode::observed || mode_ == Mode::any || (mode_ == Mode::network && network_.contains(source));
        return allowed ? std::optional(source) : std::nullopt;
    }
    if (asked.is_multicast() || asked.is_loopback() || asked.is_ipv4_mapped()) return std::nullopt;
    const bool allowed = asked == source || mode_ == Mode::any || (mode_ == Mode::network && network_.contains(asked));
    return allowed ? std::optional(asked) : std::nullopt;
}

}  // namespace oneknock
