#include "client/output.hpp"

#include <cstdio>

#include "common/files.hpp"

namespace oneknock {

Result<void> print_line(std::string_view line) {
    if (std::fwrite(line.data(), 1, line.size(), stdout) == line.size() && std::fputc('\n', stdout) != EOF &&
        std::fflush(stdout) == 0)
        return {};
    return tl::unexpected(system_error("write to", "standard output", ExitCode::cannot_create));
}

}  // namespace oneknock
