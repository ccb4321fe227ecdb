#include "server/firewall/table_lock.hpp"

#include <array>
#include <cctype>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file_lock.hpp"
#include "server/firewall/table/ruleset.hpp"

namespace oneknock {
namespace {

// A table's name may hold '/' and spaces stand between family and name; neither may reach a path.
std::string file_name(const TableName& table, ino_t network_namespace) {
    std::string text = table.text();
    for (char& c : text)
        if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
    return "table-" + std::to_string(network_namespace) + "-" + text + ".lock";
}

std::string holder(int fd) {
    std::array<char, 16> text{};
    std::string digits;
    if (pread(fd, text.data(), text.size(), 0) <= 0) return digits;
    for (const char c : text)
        if (std::isdigit(static_cast<unsigned char>(c)) != 0) digits += c;
    return digits.empty() ? "" : " (process " + digits + ")";
}

Result<void> write_holder(int fd, const std::string& path) {
    const std::string text = std::to_string(getpid()) + "\n";
    if (ftruncate(fd, 0) != 0 || pwrite(fd, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size()))
        return tl::unexpected(system_error("write", path, ExitCode::cannot_create));
    return {};
}

}  // namespace

Result<Descriptor> lock_table(const FirewallConfig& config, const std::string& run_folder) {
    struct stat network {};
    if (stat("/proc/self/ns/net", &network) != 0)
        return fail(ExitCode::system,
                    std::string("cannot examine /proc/self/ns/net: ") + std::strerror(errno) + "; is /proc mounted?");
    if (mkdir(run_folder.c_str(), 0755) != 0 && errno != EEXIST)
        return tl::unexpected(system_error("create the folder", run_folder, ExitCode::cannot_create));
    const TableName table = grant_sets(config).table;
    const std::string path = run_folder + "/" + file_name(table, network.st_ino);
    Descriptor fd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd) return tl::unexpected(system_error("open the lock", path, ExitCode::cannot_create));
    static_cast<void>(fchmod(fd.get(), 0600));  // whoever may read it could hold it; another's, he could hold anyway
    if (!try_lock(fd.get())) {
        if (errno != EWOULDBLOCK) return tl::unexpected(system_error("lock", path, ExitCode::unavailable));
        return fail(ExitCode::unavailable, "another oneknockd" + holder(fd.get()) + " looks after the nftables table " +
                                               table.text() +
                                               " in this network namespace; stop it first, or start this "
                                               "one in another namespace (lock: " +
                                               path + ")");
    }
    if (const auto written = write_holder(fd.get(), path); !written) return tl::unexpected(written.error());
    return fd;
}

}  // namespace oneknock
