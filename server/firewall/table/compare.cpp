#include "server/firewall/table/compare.hpp"

#include <algorithm>

#include <linux/netfilter/nf_tables.h>

#include "server/firewall/table/element_key.hpp"

namespace oneknock {
namespace {

using std::chrono::milliseconds;

bool is_timed(const SetImage& set) { return (set.flags & NFT_SET_TIMEOUT) != 0; }

bool same_set(const SetImage& expected, const SetImage& found) {
    if (expected.key_type != found.key_type || expected.key_length != found.key_length ||
        expected.flags != found.flags || expected.size != found.size)
        return false;
    return is_timed(expected) || std::ranges::is_permutation(expected.elements, found.elements);
}

const SetImage* find(const std::map<std::string, SetImage>& sets, const std::string& name) {
    const auto found = sets.find(name);
    return name.empty() || found == sets.end() ? nullptr : &found->second;
}

// Of both families: see(family, element).
template <class See>
void look_at_elements(const GrantSets& names, const std::map<std::string, SetImage>& sets, See see) {
    for (const Family family : families)
        if (const SetImage* set = find(sets, names.of(family)))
            for (const Element& element : set->elements) see(family, element);
}

milliseconds distance(milliseconds a, milliseconds b) { return a < b ? b - a : a - b; }

// Takes out of `missing` what others' element lets in as long as ours would.
void stand_in(Family family, const Element& element, GrantTable::Map& missing, Instant now) {
    const auto key = grant_of_key(family, element.key);
    const auto grant = key ? missing.find(*key) : missing.end();
    if (grant != missing.end() && (!element.remaining || now + *element.remaining >= grant->second.end))
        missing.erase(grant);
}

// Whether the element is what one of our live grants should look like; if so, it is taken out of `missing`.
bool expected(Family family, const Element& element, GrantTable::Map& missing, Instant now, milliseconds slack) {
    const auto key = grant_of_key(family, element.key);
    if (!key || !element.remaining) return false;
    const auto grant = missing.find(*key);
    if (grant == missing.end()) return *element.remaining <= slack;  // about to end, or ended for us just now
    const auto remaining = std::chrono::duration_cast<milliseconds>(grant->second.end - now);
    if (distance(*element.remaining, remaining) <= slack) missing.erase(grant);
    return true;  // of ours; with another end it counts as lost
}

}  // namespace

bool same_structure(const TableImage& expected, const TableImage& found) {
    if (expected.flags != found.flags || expected.chains != found.chains) return false;
    return std::ranges::equal(expected.sets, found.sets, [](const auto& a, const auto& b) {
        return a.first == b.first && same_set(a.second, b.second);
    });
}

std::optional<std::string> unfit_for_grants(Family family, const SetImage& set) {
    const Set wanted = grant_set(family, {});
    if ((set.flags & (NFT_SET_MAP | NFT_SET_OBJECT)) != 0) return "is a map";
    if (set.key_length != wanted.key_length || set.key_type != wanted.key_type) return "has another type of key";
    if (!is_timed(set)) return "lacks \"flags timeout\"";
    if ((set.flags & (NFT_SET_INTERVAL | NFT_SET_CONSTANT)) != 0) return "has the flag interval or constant";
    return std::nullopt;
}

ElementDiff compare_elements(const GrantSets& names, const std::map<std::string, SetImage>& sets,
                             const GrantTable& grants, Instant now, milliseconds slack, bool among_others) {
    GrantTable::Map missing = grants.all();
    ElementDiff result;
    look_at_elements(names, sets, [&](Family family, const Element& element) {
        if (among_others && !element.is_ours) stand_in(family, element, missing, now);
        else if (!expected(family, element, missing, now, slack)) result.strange = true;
    });
    for (const auto& [key, grant] : missing)
        if (grant.end > now + slack) result.lost.push_back(key);
    return result;
}

std::vector<std::pair<GrantKey, milliseconds>> grants_in(const GrantSets& names,
                                                         const std::map<std::string, SetImage>& sets,
                                                         const std::vector<Service>& services, bool ours_only) {
    std::vector<std::pair<GrantKey, milliseconds>> result;
    for (const Family family : families) {
        const SetImage* set = find(sets, names.of(family));
        if (set == nullptr || unfit_for_grants(family, *set)) continue;
        for (const Element& element : set->elements) {
            const auto key = grant_of_key(family, element.key);
            if (ours_only && !element.is_ours) continue;
            if (key && element.remaining && std::ranges::find(services, key->service) != services.end())
                result.emplace_back(*key, *element.remaining);
        }
    }
    return result;
}

std::vector<std::pair<GrantKey, std::optional<milliseconds>>> commented_in(
    const GrantSets& names, const std::map<std::string, SetImage>& sets) {
    std::vector<std::pair<GrantKey, std::optional<milliseconds>>> result;
    look_at_elements(names, sets, [&](Family family, const Element& element) {
        if (const auto key = grant_of_key(family, element.key); key && element.is_ours)
            result.emplace_back(*key, element.remaining);
    });
    return result;
}

std::vector<ForeignElement> foreign_elements_in(const GrantSets& names, const std::map<std::string, SetImage>& sets) {
    std::vector<ForeignElement> result;
    look_at_elements(names, sets, [&](Family family, const Element& element) {
        if (!element.is_ours) result.push_back({grant_of_key(family, element.key), element.remaining});
    });
    return result;
}

}  // namespace oneknock
