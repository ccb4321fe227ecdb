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

std::optional<Address> SourcePolicy::permitted_address(const Address& asked, const Address& source) const {
    if (asked.family != source.family || source.is_unspecified()) return std::nullopt;
    const Address& address = asked.is_unspecified() ? source : asked;
    if (address.is_multicast() || address.is_loopback() || address.is_ipv4_mapped()) return std::nullopt;
    const bool is_sources = asked == source || (asked.is_unspecified() && mode_ == Mode::observed);
    const bool allowed = is_sources || mode_ == Mode::any || (mode_ == Mode::network && network_.contains(address));
    return allowed ? std::optional(address) : std::nullopt;
}

}  // namespace oneknock
