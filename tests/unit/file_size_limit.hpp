// A disk that takes no more: as long as the limit is there, no file of this process grows beyond it.
#pragma once

#include <csignal>

#include <sys/resource.h>

#include "tests/catch.hpp"

class FileSizeLimit {
public:
    explicit FileSizeLimit(rlim_t bytes) {
        std::signal(SIGXFSZ, SIG_IGN);
        REQUIRE(getrlimit(RLIMIT_FSIZE, &before_) == 0);
        const rlimit limit{bytes, before_.rlim_max};
        REQUIRE(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    }
    void lift() const { REQUIRE(setrlimit(RLIMIT_FSIZE, &before_) == 0); }

private:
    rlimit before_{};
};
