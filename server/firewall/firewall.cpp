#include "server/firewall/firewall.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <iterator>
#include <utility>

#include "common/boot_id.hpp"
#include "common/bytes.hpp"
#include "server/firewall/failures.hpp"
#include "server/firewall/table/udp_flows.hpp"

namespace oneknock {
namespace {

using std::chrono::milliseconds;

// On a busy machine, and with a full set, reading takes longer than the slack of two clocks.
milliseconds slack_since(Instant now) {
    return timer_slack + std::chrono::duration_cast<milliseconds>(std::max(read_clocks().steady - now, Instant{0}));
}

}  // namespace

Firewall::Firewall(FirewallConfig config, std::vector<Service> services, nft::Socket socket, NftWatch watch)
    : config_(std::move(config)),
      services_(std::move(services)),
      label_seed_(load_u32be(read_boot_id().data())),
      names_(grant_sets(config_)),
      granted_(names_, !has_own_table()),
      admitted_(admission_sets(config_, services_), false),
      socket_(std::move(socket)),
      watch_(std::move(watch)) {
    describe_own_table();
}

void Firewall::describe_own_table() {
    if (!has_own_table()) return;
    wanted_ = describe_table(config_, services_, label_seed_);
    wanted_image_ = nft::image_of(wanted_);
    admitted_.rename(admission_sets(config_, services_));
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
    const auto mended = mend(*found, sets_of_flows(), now);
    if (!mended) return tl::unexpected(mended.error());
    if (*mended || !*found) return installed;
    if (const auto forgotten = forget_asked(**found); !forgotten) return tl::unexpected(forgotten.error());
    return installed;
}

// What the services of an earlier run, or of the run that a saved ruleset stems from, have sent of their own accord.
Result<void> Firewall::forget_asked(const TableImage& found) {
    nft::Batch batch(names_.table);
    for (const std::string& name : sets_of_asked())
        if (const auto set = found.sets.find(name); set != found.sets.end() && !set->second.elements.empty())
            batch.empty_set(name);
    std::string refused;
    const int error = socket_.commit(batch, &refused);
    if (error != 0) return tl::unexpected(refused_change(error, names_.table, refused));
    return {};
}

Result<bool> Firewall::repair(Instant now) {
    granted_.ends().drop_ended(now);
    admitted_.ends().drop_ended(now);
    const auto found = read();
    if (!found) return tl::unexpected(found.error());
    std::vector<std::string> kept = sets_of_flows();
    std::ranges::copy(sets_of_asked(), std::back_inserter(kept));
    return mend(*found, kept, now);
}

Result<bool> Firewall::change_services(std::vector<Service> services, Instant now) {
    if (services == services_) return false;
    granted_.forget_all_but(services);
    admitted_.forget_all_but(services);
    services_ = std::move(services);
    describe_own_table();
    return repair(now);
}

Result<std::optional<TableImage>> Firewall::read() {
    if (has_own_table()) return read_own();
    auto found = read_administrators();
    if (!found) return found;
    foreign_ = foreign_elements_in(names_, (*found)->sets);
    granted_.note_others(foreign_, read_clocks().steady);
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
    std::map<GrantKey, milliseconds> grants, admissions;
    for (const Grant& grant : recorded) {
        grants[{grant.service, grant.address}] = grant.remaining;
        admissions[{grant.service, grant.address}] = grant.flows;
    }
    const KeptGrants::Sets sets = found ? found->sets : KeptGrants::Sets{};
    Installed installed;
    for (const auto& [key, remaining] : granted_.adopt(sets, services_, grants, now))
        installed.adopted.push_back({key.service, key.address, remaining, {}});
    const auto admitted = admitted_.adopt(sets, services_, admissions, now);
    installed.removed = granted_.elements_in(sets) - foreign_.size() - installed.adopted.size() +
                        admitted_.elements_in(sets) - admitted.size();
    return installed;
}

Result<bool> Firewall::mend(const std::optional<TableImage>& found, const std::vector<std::string>& flows,
                            Instant now) {
    const TableImage none, &image = found ? *found : none;
    const milliseconds slack = slack_since(now);
    const ElementDiff diff = granted_.compare(image.sets, now, slack);
    nft::Batch batch(names_.table);
    if (has_own_table()) {
        if (found && diff.clean() && admitted_.compare(image.sets, now, slack).clean() &&
            same_structure(wanted_image_, image))
            return false;
        put_table(batch, now);
        put_flows(batch, image, flows);
    } else {
        const auto strange = granted_.strange_of_ours(image.sets, now, slack);
        if (diff.lost.empty() && strange.empty()) return false;
        granted_.remove(batch, strange);
        granted_.renew(batch, diff.lost, now);
    }
    std::string refused;
    const int error = socket_.commit(batch, &refused);
    if (error != 0) return tl::unexpected(refused_change(error, names_.table, refused));
    return true;
}

// Deletes and builds anew in one transaction: whatever was there, packets meet either the old table or the new one.
void Firewall::put_table(nft::Batch& batch, Instant now) const {
    batch.add_table();  // so that there is one to delete
    batch.delete_table();
    batch.add_table();
    for (const Set& set : wanted_.sets) batch.add(set);
    for (const Chain& chain : wanted_.chains) batch.add(chain);
    for (const Rule& rule : wanted_.rules) batch.add(rule);
    granted_.put_all(batch, now);
    admitted_.put_all(batch, now);
}

// What the rules have put into these sets, where the new table has them as well.
void Firewall::put_flows(nft::Batch& batch, const TableImage& found, const std::vector<std::string>& sets) const {
    for (const std::string& name : sets) {
        const auto before = found.sets.find(name), after = wanted_image_.sets.find(name);
        if (before == found.sets.end() || after == wanted_image_.sets.end()) continue;
        if (before->second.key_type == after->second.key_type)
            batch.add_elements(name, flows_in(before->second, services_));
    }
}

int Firewall::open_grant(const Service& service, const Address& address, milliseconds duration, Instant now,
                         milliseconds flows) {
    const bool opens = duration >= shortest_timeout, admits = flows >= shortest_timeout;
    if (!is_ours(service) || (!opens && !admits)) return EINVAL;
    if (!granted_.has_set_for(address.family)) return EAFNOSUPPORT;
    const GrantKey key{service, address};
    const auto before = granted_.ends().end_of(key), admitted_before = admitted_.ends().end_of(key);
    if (!opens) granted_.ends().erase(key);
    else if (!granted_.ends().put(key, now + duration, now)) return ENFILE;
    if (!admits || !has_flows(key)) admitted_.ends().erase(key);
    else if (!admitted_.ends().put(key, now + flows, now)) admitted_.ends().erase(key);  // full: only the grant
    const int error = send(key, now);
    if (error == 0) return 0;
    const bool is_in_doubt = socket_.is_in_doubt();
    // A refusal means that somebody changed our table and repair() has not been called yet; it includes this grant.
    if (error != EPERM && error != ETIMEDOUT && repair(now)) return 0;
    // The kernel may have opened it all the same. It stays noted, so that it can be closed.
    if (is_in_doubt || socket_.is_in_doubt()) return ETIMEDOUT;
    put_back(granted_, key, before, now);
    put_back(admitted_, key, admitted_before, now);
    return error;
}

void Firewall::put_back(KeptGrants& kept, const GrantKey& key, std::optional<Instant> before, Instant now) {
    kept.ends().erase(key);
    if (before && *before > now) (void)kept.ends().put(key, *before, now);
}

// Makes the kernel hold of it what we believe.
int Firewall::send(const GrantKey& key, Instant now) {
    nft::Batch batch(names_.table);
    granted_.renew(batch, {key}, now);
    if (has_flows(key)) admitted_.renew(batch, {key}, now);
    return socket_.commit(batch);
}

int Firewall::close_grant(const Service& service, const Address& address, Instant now) {
    if (!is_ours(service)) return EINVAL;
    if (!granted_.has_set_for(address.family)) return 0;
    const GrantKey key{service, address};
    for (KeptGrants* kept : {&granted_, &admitted_}) {
        kept->ends().erase(key);  // first: if the kernel cannot be asked, the next repair finds an element too many
        kept->ends().drop_ended(now);
    }
    const int error = send(key, now);
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

Result<Firewall::State> Firewall::look() {
    const auto found = read();
    if (!found) return tl::unexpected(found.error());
    if (!*found) return State::absent;
    return !has_own_table() || same_structure(wanted_image_, **found) ? State::sound : State::changed;
}

Result<Firewall::Others> Firewall::look_at_others() {
    auto chains = socket_.all_chains();
    if (!chains) return tl::unexpected(netlink_failure(chains.error(), "read the chains of nf_tables"));
    if (has_own_table())
        std::erase_if(*chains, [&](const NamedChain& chain) { return chain.table.text() == names_.table.text(); });
    Others others{software_in(*chains), {}};
    for (const NamedChain& chain : *chains) {
        if (!is_on_the_way(chain)) continue;
        auto table = socket_.read_table(chain.table);
        if (!table) return tl::unexpected(netlink_failure(table.error(), "read the table " + chain.table.text()));
        if (!*table || !drops_the_rest((**table).chains[chain.name])) continue;  // gone, or it does not
        DroppingChain dropping{chain.table.text() + " " + chain.name, {}};
        for (const Service& service : services_) dropping.mentions.push_back(mention_of(service, **table));
        others.dropping.push_back(std::move(dropping));
    }
    return others;
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
        for (const auto& [key, remaining] : commented_in(names_, found->sets)) ours.push_back(key);
        granted_.remove(batch, ours);
        was_there = !ours.empty();
    }
    granted_.ends().clear();
    admitted_.ends().clear();
    std::string refused;
    const int error = socket_.commit(batch, &refused);
    if (error != 0) return tl::unexpected(refused_change(error, names_.table, refused));
    return was_there;
}

bool Firewall::has_flows(const GrantKey& key) const {
    return key.service.protocol == protocol_udp && admitted_.has_set_for(key.address.family);
}

bool Firewall::is_ours(const Service& service) const {
    return std::ranges::find(services_, service) != services_.end();
}

}  // namespace oneknock
