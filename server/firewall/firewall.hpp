// The parent's library for the firewall: the only part of the daemon that changes the kernel's rules. It builds our
// table (guard and mark mode), opens and closes grants in timed sets, and repairs what other programs flush or change.
// Grants live in the kernel and expire there, also when this process is gone; the next start adopts those that the
// record knows.
//
// Used from one loop, by one process per table and network namespace (table_lock.hpp). Needs CAP_NET_ADMIN all the
// time. `now` is read once per turn of the loop and must never run backwards.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "common/clock.hpp"
#include "common/protocol/address.hpp"
#include "common/result.hpp"
#include "keys/config/daemon_config.hpp"
#include "server/firewall/kept_grants.hpp"
#include "server/firewall/nft/nft.hpp"
#include "server/firewall/nft/watch.hpp"
#include "server/firewall/table/compare.hpp"
#include "server/firewall/table/grants.hpp"
#include "server/firewall/table/others.hpp"
#include "server/firewall/table/ruleset.hpp"

namespace oneknock {

struct Grant {
    Service service;
    Address address;
    std::chrono::milliseconds remaining{};  // 0: it has ended, and flows that were begun under it go on
    std::chrono::milliseconds flows{};      // how long these may; 0 where there are none (table/udp_flows.hpp)
};

class Firewall {
public:
    // Opens the netlink sockets; changes nothing. `services` are those of the door.
    [[nodiscard]] static Result<Firewall> open(const FirewallConfig& config, std::vector<Service> services);

    // Creates, upgrades or repairs our table as needed. Of what the kernel has, only grants that are `recorded` are
    // adopted, until the earlier of both ends; every other element of our sets goes, whoever put it there. At most one
    // atomic batch, so that no grant lapses and no port opens in between; a table that is right already is left alone.
    // Set mode checks the administrator's sets: ExitCode::config, with the commands to run. Elements there that do not
    // bear our comment stay, and are never ours.
    struct Installed {
        std::vector<Grant> adopted;
        std::size_t removed = 0;  // elements
    };
    [[nodiscard]] Result<Installed> install(const std::vector<Grant>& recorded, Instant now);

    [[nodiscard]] const std::vector<Service>& services() const { return services_; }
    [[nodiscard]] bool is_ours(const Service& service) const;  // one of these

    // Set mode: the elements of the administrator's sets that were not ours when they were read last.
    [[nodiscard]] const std::vector<ForeignElement>& foreign_elements() const { return foreign_; }

    // What in modes mark and set closes nothing, in words: no rule looks at our mark, or at a set. Nothing if some
    // does.
    [[nodiscard]] Result<std::optional<std::string>> what_nobody_looks_at();

    // These two change nothing. Whether our table stands as it should, grants aside; in set mode whether the
    // administrator's sets serve: what is wrong with them is the error.
    enum class State : std::uint8_t { absent, sound, changed };
    [[nodiscard]] Result<State> look();

    // What other software has in nf_tables: who it is, and which of its chains on the way of packets for this host drop
    // what they do not accept, with what they say about each of our services.
    struct DroppingChain {
        std::string name;  // "inet filter input"
        std::vector<Mention> mentions;
    };
    struct Others {
        std::vector<std::string> software;
        std::vector<DroppingChain> dropping;
    };
    [[nodiscard]] Result<Others> look_at_others();

    // The door has these services from now on. A new one is closed, one that is gone is not closed any more and its
    // grants end, all in one batch; other grants stay as they are. Where the kernel cannot be told, the services hold
    // all the same, and the next repair() puts it right. True: the kernel had to be told.
    [[nodiscard]] Result<bool> change_services(std::vector<Service> services, Instant now);

    // Deletes our table; in set mode the elements that bear our comment. False: there was nothing to delete.
    [[nodiscard]] Result<bool> remove();

    // Opens, or sets the end of an open grant anew (atomically: no packet is lost). 0, or an errno: EINVAL (a service
    // that is not the door's, or not 50 ms or more), EAFNOSUPPORT (set mode without a set for that family), ENFILE
    // (full), ETIMEDOUT, or the kernel's refusal. Where others damaged the table it is repaired at once, the grant
    // included. Guard mode: UDP flows that are begun under it go on for `flows` from now; without a duration it only
    // sets the end of these.
    [[nodiscard]] int open_grant(const Service& service, const Address& address, std::chrono::milliseconds duration,
                                 Instant now, std::chrono::milliseconds flows = {});

    // TCP sessions that are established go on, UDP flows end (guard mode). A grant that is not there is closed
    // already: 0.
    [[nodiscard]] int close_grant(const Service& service, const Address& address, Instant now);

    // Readable when another program changed nf_tables. Then call on_watch_readable(); true asks for repair().
    [[nodiscard]] int watch_descriptor() const { return watch_.descriptor(); }
    [[nodiscard]] bool on_watch_readable() { return watch_.drain(); }

    // Reads everything back and, if it is not what it should be, puts it right in one batch, grants with their
    // remaining times included. True: something had to be put right.
    [[nodiscard]] Result<bool> repair(Instant now);

    // Netlink's name of our command socket: notifications that bear it are about our own changes.
    [[nodiscard]] std::uint32_t port_id() const { return socket_.port_id(); }

private:
    Firewall(FirewallConfig config, std::vector<Service> services, nft::Socket socket, NftWatch watch);

    void describe_own_table();
    [[nodiscard]] bool has_own_table() const { return config_.mode != FirewallMode::set; }
    [[nodiscard]] Result<std::optional<TableImage>> read();  // nothing: there is no such table
    [[nodiscard]] Result<std::optional<TableImage>> read_own();
    [[nodiscard]] Result<std::optional<TableImage>> read_administrators();  // only sets
    [[nodiscard]] Result<TableImage> read_present_sets();
    [[nodiscard]] Installed adopt(const std::optional<TableImage>& found, const std::vector<Grant>& recorded,
                                  Instant now);
    // `flows`: the sets of flows whose elements outlive the building of a new table.
    [[nodiscard]] Result<bool> mend(const std::optional<TableImage>& found, const std::vector<std::string>& flows,
                                    Instant now);
    [[nodiscard]] Result<void> forget_asked(const TableImage& found);
    void put_table(nft::Batch& batch, Instant now) const;
    void put_flows(nft::Batch& batch, const TableImage& found, const std::vector<std::string>& sets) const;
    static void put_back(KeptGrants& kept, const GrantKey& key, std::optional<Instant> before, Instant now);
    [[nodiscard]] int send(const GrantKey& key, Instant now);
    [[nodiscard]] bool has_flows(const GrantKey& key) const;

    FirewallConfig config_;
    std::vector<Service> services_;
    std::uint32_t label_seed_;  // of this boot, so that what is built anew does not tell
    GrantSets names_;           // of the grants
    KeptGrants granted_;
    KeptGrants admitted_;      // guard mode with a UDP service
    Ruleset wanted_;           // of our own table
    TableImage wanted_image_;  // the same as it should be read back
    nft::Socket socket_;
    NftWatch watch_;
    std::vector<ForeignElement> foreign_;
};

}  // namespace oneknock
