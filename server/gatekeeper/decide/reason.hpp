// Why a verified or unverifiable message was refused: the words of logs, status and audit.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace oneknock {

enum class Reason : std::uint8_t {
    unknown_key,
    wrong_epoch,
    key_expired,
    key_revoked,
    stale,
    future,
    address_mismatch,
    replayed,
    record_lost,
    unknown_operation,
    service_not_allowed,
    closed_since,
    rate_limited,
    record_failed,
    firewall_failed,
};
inline constexpr std::size_t reason_count = 15;

inline constexpr std::array<std::string_view, reason_count> reason_names{"unknown-key",
                                                                         "wrong-epoch",
                                                                         "key-expired",
                                                                         "key-revoked",
                                                                         "stale",
                                                                         "future",
                                                                         "address-mismatch",
                                                                         "replayed",
                                                                         "record-lost",
                                                                         "unknown-operation",
                                                                         "service-not-allowed",
                                                                         "closed-since",
                                                                         "rate-limited",
                                                                         "record-failed",
                                                                         "firewall-failed"};

constexpr std::string_view reason_name(Reason reason) { return reason_names[static_cast<std::size_t>(reason)]; }

}  // namespace oneknock
