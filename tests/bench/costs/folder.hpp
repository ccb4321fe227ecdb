// A folder on the disk that is measured: in $ONEKNOCK_BENCH_DISK (default: /var/tmp), which should not be memory. It is
// gone at the end.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

namespace oneknock {

class Folder {
public:
    Folder() {
        const char* disk = std::getenv("ONEKNOCK_BENCH_DISK");
        path_ = std::string(disk != nullptr ? disk : "/var/tmp") + "/oneknock-bench-XXXXXX";
        if (mkdtemp(path_.data()) == nullptr) std::abort();
        path_ += '/';
    }
    ~Folder() { std::filesystem::remove_all(path_); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    [[nodiscard]] const std::string& path() const { return path_; }

private:
    std::string path_;
};

}  // namespace oneknock
