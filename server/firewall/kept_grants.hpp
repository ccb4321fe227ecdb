// What the daemon keeps in one pair of timed sets, an element for each address and service: which sets, what it
// believes to be in them, and the changes that make it so.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "common/clock.hpp"
#include "server/firewall/nft/nft.hpp"
#include "server/firewall/table/compare.hpp"
#include "server/firewall/table/grants.hpp"

namespace oneknock {

class KeptGrants {
public:
    using Sets = std::map<std::string, SetImage>;
    using Remaining = std::pair<GrantKey, std::chrono::milliseconds>;

    // `among_others`: others' elements may be beside ours, which bear our comment then.
    KeptGrants(GrantSets names, bool among_others) : names_(std::move(names)), among_others_(among_others) {}

    [[nodiscard]] const GrantSets& names() const { return names_; }
    void rename(GrantSets names) { names_ = std::move(names); }
    [[nodiscard]] bool has_set_for(Family family) const { return !names_.of(family).empty(); }

    [[nodiscard]] GrantTable& ends() { return ends_; }
    void forget_all_but(const std::vector<Service>& services);

    // Of what is in the sets, takes in what is recorded, until the earlier of both ends.
    [[nodiscard]] std::vector<Remaining> adopt(const Sets& found, const std::vector<Service>& services,
                                               const std::map<GrantKey, std::chrono::milliseconds>& recorded,
                                               Instant now);
    [[nodiscard]] std::size_t elements_in(const Sets& found) const;

    [[nodiscard]] ElementDiff compare(const Sets& found, Instant now, std::chrono::milliseconds slack) const {
        return compare_elements(names_, found, ends_, now, slack, among_others_);
    }
    // Elements that bear our comment and are nothing of what is believed.
    [[nodiscard]] std::vector<GrantKey> strange_of_ours(const Sets& found, Instant now,
                                                        std::chrono::milliseconds slack) const;

    // What others have put beside ours, as of now. Where that lasts as long as a grant of ours it is left alone: two
    // elements of one address and service cannot be.
    void note_others(const std::vector<ForeignElement>& others, Instant now);

    void put_all(nft::Batch& batch, Instant now) const;  // into sets that are empty
    // Makes the kernel's elements what is believed of them, whether they are there or not.
    void renew(nft::Batch& batch, const std::vector<GrantKey>& keys, Instant now);
    void remove(nft::Batch& batch, const std::vector<GrantKey>& keys) const;

private:
    [[nodiscard]] bool others_last_until(const GrantKey& key, Instant end) const;
    [[nodiscard]] Element element_of(const GrantKey& key, std::chrono::milliseconds remaining) const;

    GrantSets names_;
    bool among_others_;
    GrantTable ends_;
    std::map<GrantKey, Instant> others_;  // until when
};

}  // namespace oneknock
