// The kinds of fields that several of our files share. Each reader complains through its object, and returns some
// valid default once the object's context has failed.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "common/clock.hpp"
#include "common/json.hpp"
#include "common/protocol/address.hpp"
#include "common/protocol/port_span.hpp"
#include "keys/source_policy.hpp"

namespace oneknock::fields {

[[nodiscard]] std::string name(json::Object& object, std::string_view field);
[[nodiscard]] std::string host(json::Object& object, std::string_view field);
[[nodiscard]] DoorId door_id(json::Object& object, std::string_view field);
[[nodiscard]] PortSpan span(json::Object& object, std::string_view field);
[[nodiscard]] std::uint32_t generation(json::Object& object, std::string_view field);
[[nodiscard]] SourcePolicy source(json::Object& object, std::string_view field);  // absent: same
[[nodiscard]] bool flag(json::Object& object, std::string_view field);            // absent: false
[[nodiscard]] UnixTime time(json::Object& object, std::string_view field);
[[nodiscard]] std::optional<UnixTime> optional_time(json::Object& object, std::string_view field);

struct DurationRule {
    Seconds low;
    Seconds high;
    Seconds absent;  // what an absent field means
};
[[nodiscard]] Seconds duration(json::Object& object, std::string_view field, const DurationRule& rule);

// A client's "max_duration". The protocol carries durations in 16 bits.
inline constexpr Seconds longest_duration{65535};
inline constexpr DurationRule max_duration_rule{Seconds{1}, longest_duration, Seconds{60}};

// An object of names and services, {"ssh": "tcp/22"}: at least one, and none of them twice.
[[nodiscard]] std::map<std::string, Service> services(json::Context& context, json::Object& object,
                                                      std::string_view field);

}  // namespace oneknock::fields
