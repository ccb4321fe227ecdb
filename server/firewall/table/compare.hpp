// What the kernel holds, read back, and how it compares with what we expect. Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "server/firewall/table/grants.hpp"
#include "server/firewall/table/ruleset.hpp"

namespace oneknock {

struct Element {
    ByteString key;                                      // empty: a catch-all element
    std::optional<std::chrono::milliseconds> remaining;  // nothing: it never expires
    bool is_ours = false;                                // it bears our comment; only where others' are beside ours
    friend bool operator==(const Element&, const Element&) = default;
};

// As the kernel describes a set. The flags are the kernel's NFT_SET_* bits.
struct SetImage {
    std::uint32_t key_type = 0;
    std::uint32_t key_length = 0;
    std::uint32_t flags = 0;
    std::uint32_t size = 0;
    std::vector<Element> elements;
};

struct ChainImage {
    bool base = false;
    std::string type;  // the rest of a base chain only
    std::uint32_t hook = 0;
    std::int32_t priority = 0;
    std::uint32_t policy = 0;
    std::vector<std::string> rules;  // each as libnftnl's text of its expressions
    friend bool operator==(const ChainImage&, const ChainImage&) = default;
};

struct TableImage {
    std::uint32_t flags = 0;
    std::map<std::string, SetImage> sets;
    std::map<std::string, ChainImage> chains;
};

// Everything but the elements of timed sets.
[[nodiscard]] bool same_structure(const TableImage& expected, const TableImage& found);

// What is wrong with a set for grants of this family, in words; nothing if it serves (set mode).
[[nodiscard]] std::optional<std::string> unfit_for_grants(Family family, const SetImage& set);

struct ElementDiff {
    std::vector<GrantKey> lost;  // live grants whose element is missing or ends at another time
    bool strange = false;        // there are elements that are no live grant of ours

    [[nodiscard]] bool clean() const { return lost.empty() && !strange; }
};

// Differences of up to `slack` are those of two clocks: `timer_slack`, and as long as the reading took since `now`.
inline constexpr std::chrono::milliseconds timer_slack{500};
// With `among_others`, an element without our comment stands for a grant of ours that does not outlast it.
[[nodiscard]] ElementDiff compare_elements(const GrantSets& names, const std::map<std::string, SetImage>& sets,
                                           const GrantTable& grants, Instant now,
                                           std::chrono::milliseconds slack = timer_slack, bool among_others = false);

// The grants among the elements: timed, of one of these services; with `ours_only`, those with our comment.
[[nodiscard]] std::vector<std::pair<GrantKey, std::chrono::milliseconds>> grants_in(
    const GrantSets& names, const std::map<std::string, SetImage>& sets, const std::vector<Service>& services,
    bool ours_only);

// Those with our comment, of whatever service and without an end as well: whoever made these.
[[nodiscard]] std::vector<std::pair<GrantKey, std::optional<std::chrono::milliseconds>>> commented_in(
    const GrantSets& names, const std::map<std::string, SetImage>& sets);

// Those without our comment.
struct ForeignElement {
    std::optional<GrantKey> grant;                       // what it lets in; nothing: it is no such key (a catch-all)
    std::optional<std::chrono::milliseconds> remaining;  // nothing: it never expires
    friend bool operator==(const ForeignElement&, const ForeignElement&) = default;
};
[[nodiscard]] std::vector<ForeignElement> foreign_elements_in(const GrantSets& names,
                                                              const std::map<std::string, SetImage>& sets);

}  // namespace oneknock
