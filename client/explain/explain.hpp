// oneknock explain: a knock taken apart field by field.
#pragma once

#include "client/explain/take_apart.hpp"
#include "client/options/options.hpp"
#include "common/result.hpp"

namespace oneknock {

// Several lines.
[[nodiscard]] std::string explanation_text(const TakenApart& knock, const KeyFile& key, UnixTime now);
// One object, one line; `packets` is how many ports there were.
[[nodiscard]] std::string explanations_json(const std::vector<TakenApart>& knocks, const KeyFile& key,
                                            std::size_t packets);

// ExitCode::data if there is no knock of this key among the packets, with what is known of them.
[[nodiscard]] Result<void> explain_command(const ExplainOptions& options);

}  // namespace oneknock
