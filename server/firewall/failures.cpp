#include "server/firewall/failures.hpp"

#include <cerrno>
#include <cstring>

namespace oneknock {
namespace {

bool is_missing_support(int error) {
    return error == EOPNOTSUPP || error == EPROTONOSUPPORT || error == EAFNOSUPPORT || error == ENOENT;
}

}  // namespace

Error netlink_failure(int error, std::string_view what) {
    const std::string cannot = "cannot " + std::string(what) + ": ";
    if (error == EPERM || error == EACCES)
        return {ExitCode::permission,
                cannot + "needs CAP_NET_ADMIN (run as root, or AmbientCapabilities=CAP_NET_ADMIN in the unit)"};
    if (error == ETIMEDOUT)
        return {ExitCode::unavailable, cannot + "the kernel did not answer within a second; try again"};
    if (is_missing_support(error))
        return {ExitCode::unavailable,
                cannot + std::strerror(error) +
                    "; the kernel lacks a part of nf_tables: load or build the modules nf_tables, "
                    "nft_fib_inet and nft_reject_inet (kernel 5.9 or later)"};
    return {ExitCode::unavailable, cannot + std::strerror(error)};
}

Error refused_change(int error, const TableName& table, const std::string& part) {
    if (error == EPERM && !part.empty())  // without CAP_NET_ADMIN it is the batch as a whole that is refused
        return {ExitCode::unavailable,
                "the nftables table " + table.text() +
                    " belongs to another process (flag \"owner\") and cannot be changed; stop that "
                    "process (nft list table " +
                    table.text() + " shows its name)"};
    const std::string where = part.empty() ? "" : " (" + part + ")";
    return netlink_failure(error, "change the nftables table " + table.text() + where);
}

Error missing_set(Family family, const TableName& table, const std::string& name) {
    return {ExitCode::config, "the set " + name + " is not in the nftables table " + table.text() +
                                  "; add it with: nft 'add table " + table.text() + "' && " +
                                  grant_set_command(family, table, name)};
}

Error unfit_set(Family family, const TableName& table, const std::string& name, std::string_view why) {
    return {ExitCode::config,
            "the set " + name + " in the nftables table " + table.text() + " " + std::string(why) +
                " and cannot hold grants; delete it and add it anew with: " + grant_set_command(family, table, name)};
}

}  // namespace oneknock
