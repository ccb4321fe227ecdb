#include "server/firewall/firewall.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <iterator>
#include <utility>

#include "server/firewall/failures.hpp"
#include "server/firewall/table/element_key.hpp"

namespace oneknock {
namespace {

using std::chrono::milliseconds;

constexpr std::array families{Family::ipv4, Family::ipv6};

// A timeout below one tick of the kernel's timer (10 ms at most) would be rounded to none: an element for ever.
constexpr milliseconds shortest_timeout{50};

milliseconds until(Instant end, Instant now) { return std::chrono::duration_cast<milliseconds>(end - now); }

// On a busy machine, and with a full set, reading takes longer than the slack of two clocks.
milliseconds slack_since(Instant now) {
    return timer_slack + std::max(until(read_clocks().steady, now), milliseconds{0});
}

}  // namespace

Firewall::Firewall(FirewallConfig config, std::vector<Service> services, nft::Socket socket, NftWatch watch)
    : config_(std::move(config)),
      services_(std::move(services)),
      names_(grant_sets(config_)),
      socket_(std::move(socket)),
      watch_(std::move(watch)) {
    describe_own_table();
}

void Firewall::describe_own_table() {
    if (!has_own_table()) return;
    wanted_ = describe_table(config_, services_);
    wanted_image_ = nft::image_of(wanted_);
}

Result<Firewall> Firewall::open(const FirewallConfig& config, std::vector<Service> services) {
    auto socket = nft::Socket::open();
    if (!socket) return tl::unexpected(netlink_failure(socket.error(), "open a netlink socket"));
    const auto scope = config.mode == FirewallMode::set ? NftWatch::Scope::sets : NftWatch::Scope::whole_table;
    auto watch = NftWatch::open(grant_sets(config).table, scope, socket->port_id());
    if (!watch) return tl::unexpected(netlink_failure(watch.error(), "watch nf_tables for changes"));
    return Firewall(config, std::move(services), std::move(*socket), std::move(*watch));
}

Result<Firewall::Installed> Firewall::install(const std::vector<Grant>& recorded, Instant now) {
    const auto found = read();
    if (!found) return tl::unexpected(found.error());
    auto installed = adopt(*found, recorded, now);
    if (const auto mended = mend(*found, now); !mended) return tl::unexpected(mended.error());
    return installed;
}

Result<bool> Firewall::repair(Instant now) {
    grants_.drop_ended(now);
    const auto found = read();
    if (!found) return tl::unexpected(found.error());
    return mend(*found, now);
}

Result<bool> Firewall::change_services(std::vector<Service> services, Instant now) {
    if (services == services_) return false;
    forget_grants_of_others(services);
    // In set mode the elements of a service that goes are found as those of a service that is there.
    const auto before = std::exchange(services_, services);
    if (!has_own_table()) std::ranges::copy(before, std::back_inserter(services_));
    describe_own_table();
    auto changed = repair(now);
    services_ = std::move(services);
    return changed;
}

void Firewall::forget_grants_of_others(const std::vector<Service>& services) {
    std::vector<GrantKey> ended;
    for (const auto& [key, grant] : grants_.all())
        if (std::ranges::find(services, key.service) == services.end()) ended.push_back(key);
    for (const GrantKey& key : ended) grants_.erase(key);
}

Result<std::optional<TableImage>> Firewall::read() {
    if (has_own_table()) return read_own();
    auto found = read_administrators();
    if (found) foreign_ = foreign_elements_in(names_, (*found)->sets);
    return found;
}

Result<std::optional<TableImage>> Firewall::read_own() {
    auto found = socket_.read_table(names_.table);
    if (!found) return tl::unexpected(netlink_failure(found.error(), "read the table " + names_.table.text()));
    return std::move(*found);
}

Result<std::optional<TableImage>> Firewall::read_administrators() {
    auto found = read_present_sets();
    if (!found) return tl::unexpected(found.error());
    for (const Family family : families) {
        const std::string& name = names_.of(family);
        if (name.empty()) continue;
        const auto set = found->sets.find(name);
        if (set == found->sets.end()) return tl::unexpected(missing_set(family, names_.table, name));
        if (const auto why = unfit_for_grants(family, set->second))
            return tl::unexpected(unfit_set(family, names_.table, name, *why));
    }
    return std::move(*found);
}

Result<TableImage> Firewall::read_present_sets() {
    TableImage image;
    for (const Family family : families) {
        const std::string& name = names_.of(family);
        if (name.empty()) continue;
        auto set = socket_.read_set(names_.table, name);
        if (!set) return tl::unexpected(netlink_failure(set.error(), "read the set " + name));
        if (*set) image.sets[name] = std::move(**set);
    }
    return image;
}

Firewall::Installed Firewall::adopt(const std::optional<TableImage>& found, const std::vector<Grant>& recorded,
                                    Instant now) {
    Installed installed;
    grants_.clear();
    if (!found) return installed;
    std::map<GrantKey, milliseconds> of_record;
    for (const Grant& grant : recorded) of_record[{grant.service, grant.address}] = grant.remaining;
    for (const auto& [key, in_kernel] : grants_in(names_, found->sets, services_, !has_own_table())) {
        const auto known = of_record.find(key);
        if (known == of_record.end()) continue;
        const milliseconds remaining = std::min(in_kernel, known->second);
        if (remaining >= shortest_timeout && grants_.put(key, now + remaining, now))
            installed.adopted.push_back({key.service, key.address, remaining});
    }
    std::size_t elements = 0;
    for (const auto& [name, set] : found->sets)
        if (name == names_.of(Family::ipv4) || name == names_.of(Family::ipv6)) elements += set.elements.size();
    installed.removed = elements - foreign_.size() - installed.adopted.size();
    return installed;
}

Result<bool> Firewall::mend(const std::optional<TableImage>& found, Instant now) {
    const milliseconds slack = slack_since(now);
    const ElementDiff diff = compare_elements(names_, found ? found->sets : TableImage{}.sets, grants_, now, slack);
    nft::Batch batch(names_.table);
    if (has_own_table()) {
        if (found && diff.clean() && same_structure(wanted_image_, *found)) return false;
        put_table(batch, now);
    } else {
        const auto strange = strange_of_ours(found->sets, now, slack);
        if (diff.lost.empty() && strange.empty()) return false;
        delete_elements(batch, strange);
        put_grants(batch, diff.lost, now, true);
    }
    std::string refused;
    const int error = socket_.commit(batch, &refused);
    if (error != 0) return tl::unexpected(refused_change(error, names_.table, refused));
    return true;
}

// Set mode: elements that bear our comment and are no live grants.
std::vector<GrantKey> Firewall::strange_of_ours(const std::map<std::string, SetImage>& sets, Instant now,
                                                milliseconds slack) const {
    std::vector<GrantKey> strange;
    for (const auto& [key, remaining] : grants_in(names_, sets, services_, true))
        if (remaining > slack && grants_.end_of(key).value_or(now) <= now) strange.push_back(key);
    return strange;
}

void Firewall::delete_elements(nft::Batch& batch, const std::vector<GrantKey>& grants) const {
    for (const GrantKey& key : grants) {
        const std::vector<Element> element{element_of(key, Seconds{1})};
        batch.add_elements(names_.of(key.address.family), element);  // it may have ended meanwhile
        batch.delete_elements(names_.of(key.address.family), element);
    }
}

// Our comment, where others' elements are beside ours.
Element Firewall::element_of(const GrantKey& grant, milliseconds remaining) const {
    return {element_key(grant), remaining, !has_own_table()};
}

// Deletes and builds anew in one transaction: whatever was there, packets meet either the old table or the new one.
void Firewall::put_table(nft::Batch& batch, Instant now) const {
    batch.add_table();  // so that there is one to delete
    batch.delete_table();
    batch.add_table();
    for (const Set& set : wanted_.sets) batch.add(set);
    for (const Chain& chain : wanted_.chains) batch.add(chain);
    for (const Rule& rule : wanted_.rules) batch.add(rule);
    std::vector<GrantKey> all;
    for (const auto& [key, grant] : grants_.all()) all.push_back(key);
    put_grants(batch, all, now, false);
}

void Firewall::put_grants(nft::Batch& batch, const std::vector<GrantKey>& grants, Instant now, bool again) const {
    for (const Family family : families) {
        std::vector<Element> elements;
        for (const GrantKey& key : grants) {
            const milliseconds remaining = until(grants_.end_of(key).value_or(now), now);
            if (key.address.family == family && remaining >= shortest_timeout)
                elements.push_back(element_of(key, remaining));
        }
        if (again) refresh(batch, names_.of(family), elements);
        else batch.add_elements(names_.of(family), elements);
    }
}

// Sets the ends of elements that are there or not: up to kernel 6.11 adding an element again keeps its old end, and
// deleting an absent one is refused. Atomic like all of a batch, so no packet falls in between.
void Firewall::refresh(nft::Batch& batch, const std::string& set, const std::vector<Element>& elements) const {
    batch.add_elements(set, elements);
    batch.delete_elements(set, elements);
    batch.add_elements(set, elements);
}

int Firewall::open_grant(const Service& service, const Address& address, milliseconds duration, Instant now) {
    if (!is_ours(service) || duration < shortest_timeout) return EINVAL;
    if (names_.of(address.family).empty()) return EAFNOSUPPORT;
    const GrantKey grant{service, address};
    const auto before = grants_.end_of(grant);
    if (!grants_.put(grant, now + duration, now)) return ENFILE;
    const int error = send_grant(grant, duration);
    if (error == 0) return 0;
    // A refusal means that somebody changed our table and repair() has not been called yet; it includes this grant.
    if (error != EPERM && error != ETIMEDOUT && repair(now)) return 0;
    // The kernel may have opened it all the same. It stays noted, so that it can be closed.
    if (error == ETIMEDOUT) return error;
    grants_.erase(grant);
    if (before && *before > now) (void)grants_.put(grant, *before, now);
    return error;
}

int Firewall::send_grant(const GrantKey& grant, milliseconds duration) {
    nft::Batch batch(names_.table);
    refresh(batch, names_.of(grant.address.family), {element_of(grant, duration)});
    return socket_.commit(batch);
}

int Firewall::close_grant(const Service& service, const Address& address, Instant now) {
    if (!is_ours(service)) return EINVAL;
    const std::string& set = names_.of(address.family);
    if (set.empty()) return 0;
    const GrantKey grant{service, address};
    grants_.erase(grant);  // first: if the kernel cannot be asked, the next repair finds an element too many
    grants_.drop_ended(now);
    nft::Batch batch(names_.table);
    delete_elements(batch, {grant});
    const int error = socket_.commit(batch);
    return error == ENOENT ? 0 : error;  // no table, no set: no grant
}

Result<std::optional<std::string>> Firewall::what_nobody_looks_at() {
    std::optional<std::string> nothing;
    if (config_.mode == FirewallMode::guard) return nothing;
    const auto asked = [](const nft::Result<bool>& found) -> Result<bool> {
        if (!found) return tl::unexpected(netlink_failure(found.error(), "read the rules"));
        return *found;
    };
    if (config_.mode == FirewallMode::mark) {
        const auto found = asked(socket_.any_rule_reads_mark(names_.table));
        if (!found) return tl::unexpected(found.error());
        return *found ? nothing : std::optional<std::string>("packet marks");
    }
    for (const Family family : families) {
        if (names_.of(family).empty()) continue;
        const auto found = asked(socket_.any_rule_looks_up(names_.table, names_.of(family)));
        if (!found) return tl::unexpected(found.error());
        if (!*found) return std::optional("the set " + names_.of(family) + " of table " + names_.table.text());
    }
    return nothing;
}

Result<bool> Firewall::remove() {
    nft::Batch batch(names_.table);
    bool was_there = true;
    if (has_own_table()) {
        const auto found = socket_.read_table(names_.table);
        was_there = !found || found->has_value();  // where it cannot be read it goes all the same
        batch.add_table();                         // so that there is one to delete
        batch.delete_table();
    } else {
        const auto found = read_present_sets();
        if (!found) return tl::unexpected(found.error());
        std::vector<GrantKey> ours;
        for (const auto& [key, remaining] : grants_in(names_, found->sets, services_, true)) ours.push_back(key);
        delete_elements(batch, ours);
        was_there = !ours.empty();
    }
    grants_.clear();
    std::string refused;
    const int error = batch.empty() ? 0 : socket_.commit(batch, &refused);
    if (error != 0) return tl::unexpected(refused_change(error, names_.table, refused));
    return was_there;
}

bool Firewall::is_ours(const Service& service) const {
    return std::ranges::find(services_, service) != services_.end();
}

}  // namespace oneknock
