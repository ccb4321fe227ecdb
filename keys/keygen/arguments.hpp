// The values of options, from text. Errors say what is wrong without naming the option.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/clock.hpp"
#include "common/protocol/address.hpp"
#include "common/protocol/port_span.hpp"
#include "common/result.hpp"
#include "keys/enrolment.hpp"
#include "keys/source_policy.hpp"

namespace oneknock::keygen {

[[nodiscard]] Result<std::string> name_argument(const std::string& text);
[[nodiscard]] Result<std::string> host_argument(const std::string& text);
[[nodiscard]] Result<std::string> path_argument(const std::string& text);
// "https://knock.example.org/", without a fragment, which the key becomes.
[[nodiscard]] Result<std::string> page_url_argument(const std::string& text);
[[nodiscard]] Result<std::string> folder_argument(const std::string& text);  // without a slash at its end
[[nodiscard]] Result<std::string> state_argument(const std::string& text);   // made absolute
[[nodiscard]] Result<std::string> socket_argument(const std::string& text);  // likewise
[[nodiscard]] Result<std::string> table_argument(const std::string& text);

// "ssh=tcp/22": neither a name nor a service twice, at most most_services.
[[nodiscard]] Result<std::map<std::string, Service>> services_argument(const std::vector<std::string>& texts);
[[nodiscard]] Result<std::vector<std::string>> interfaces_argument(const std::vector<std::string>& texts);
[[nodiscard]] Result<std::vector<std::string>> names_argument(const std::vector<std::string>& texts);

[[nodiscard]] Result<std::optional<Enrolment>> enrolment_argument(const std::string& text);
[[nodiscard]] Result<PortSpan> span_argument(const std::string& text);
[[nodiscard]] Result<SourcePolicy> source_argument(const std::string& text);
[[nodiscard]] Result<Seconds> max_duration_argument(const std::string& text);
[[nodiscard]] Result<Seconds> trial_argument(const std::string& text);
[[nodiscard]] Result<Seconds> overlap_argument(const std::string& text);

// "2027-01-31", which is the beginning of that day in UTC, or "2027-01-31T12:00:00Z"; nothing: "never".
[[nodiscard]] Result<std::optional<UnixTime>> date_argument(const std::string& text);

}  // namespace oneknock::keygen
