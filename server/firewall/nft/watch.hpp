// Notices when somebody else changes the table our grants are in. Our own changes never wake it: the kernel filters
// their notifications out by the port id of the command socket before they are queued.
#pragma once

#include <cstdint>
#include <vector>

#include <tl/expected.hpp>

#include "common/fd.hpp"
#include "server/firewall/table/ruleset.hpp"

namespace oneknock {

class NftWatch {
public:
    enum class Scope : std::uint8_t {
        whole_table,
        sets,  // not its chains and rules (set mode: these are the administrator's)
    };
    // Needs CAP_NET_ADMIN. Or an errno.
    [[nodiscard]] static tl::expected<NftWatch, int> open(TableName table, Scope scope, std::uint32_t own_port_id);

    [[nodiscard]] int descriptor() const { return fd_.get(); }  // readable when there is news; non-blocking

    // Reads the news. True: the table was changed by others, or news were lost because there were too many.
    [[nodiscard]] bool drain();

private:
    NftWatch(Descriptor fd, TableName table, Scope scope)
        : fd_(std::move(fd)), table_(std::move(table)), scope_(scope) {}
    [[nodiscard]] bool concerns_us(std::size_t length) const;

    Descriptor fd_;
    TableName table_;
    Scope scope_;
    std::vector<char> buffer_;
};

}  // namespace oneknock
