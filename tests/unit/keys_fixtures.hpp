// Valid files of each kind, and what their tests share: a table of edits that each make one thing wrong.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

#include <sys/stat.h>

#include "tests/catch.hpp"

namespace oneknock::test {

inline const std::string secret_1 = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";  // 32 times 0x01
inline const std::string secret_2 = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";

inline const std::string valid_door = R"({
  "oneknock": "door",
  "version": 1,
  "name": "home",
  "address": "door.example.org",
  "id": "000102030405060708090a0b0c0d0e0f",
  "span": "20000-60000,!30000-30999",
  "services": {
    "ssh": "tcp/22",
    "vpn": "udp/51820"
  },
  "generations": [
    {
      "generation": 1,
      "secret": "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=",
      "not_before": "2026-11-23T07:00:00Z",
      "not_after": "2027-01-01T00:00:00Z"
    },
    {
      "generation": 3,
      "secret": "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=",
      "not_before": "2026-12-25T00:00:00Z",
      "not_after": null
    }
  ]
}
)";

inline const std::string valid_client = R"({
  "oneknock": "client",
  "version": 1,
  "name": "alice",
  "allow": ["ssh", "vpn"],
  "source": "192.0.2.0/24",
  "max_duration": "90s",
  "connections": null,
  "revoked": true,
  "expires": "2027-01-31T00:00:00Z",
  "generations": [
    {
      "generation": 2,
      "secret": "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=",
      "not_before": "2026-11-23T07:00:00Z",
      "not_after": null
    }
  ]
}
)";

inline const std::string valid_key_file = R"({
  "oneknock": "client-key",
  "version": 1,
  "door": {
    "name": "home",
    "address": "2001:db8::1",
    "id": "000102030405060708090a0b0c0d0e0f",
    "span": "1024-65535",
    "secret": "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=",
    "generation": 3
  },
  "client": {
    "name": "alice",
    "secret": "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=",
    "generation": 2,
    "source": "observed",
    "max_duration": "2m"
  },
  "services": {
    "ssh": "tcp/22"
  },
  "created": "2026-11-23T07:00:00Z",
  "expires": null
}
)";

// `text` with the first `from` replaced; a test whose edit changes nothing is a defect of the test.
inline std::string edited(std::string text, const std::string& from, const std::string& to) {
    const auto at = text.find(from);
    if (at == std::string::npos) throw std::logic_error("the fixture has no " + from);
    return text.replace(at, from.size(), to);
}

struct Edit {
    const char* from;
    const char* to;
    const char* complaint;  // FILE:LINE: and what the message says, from its beginning
};

// Applies each edit alone to `valid` and requires that `parse` refuses the result with the edit's complaint.
template <class Parse, class Edits>
void require_refusals(const std::string& valid, const Edits& edits, Parse parse) {
    for (const Edit& edit : edits) {
        CAPTURE(edit.from, edit.to);
        const auto result = parse(edited(valid, edit.from, edit.to));
        REQUIRE_FALSE(result);
        CHECK_THAT(result.error().message, Catch::StartsWith(edit.complaint));
        CHECK_THAT(result.error().message, !Catch::Contains("AQEB") && !Catch::Contains("AgIC"));
    }
}

// A folder of this test's own, gone at the end.
class TemporaryFolder {
public:
    TemporaryFolder() {
        std::string name = (std::filesystem::temp_directory_path() / "oneknock-test-XXXXXX").string();
        if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make a temporary folder");
        path_ = name;
    }
    ~TemporaryFolder() { std::filesystem::remove_all(path_); }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;

    [[nodiscard]] const std::string& path() const { return path_; }

    std::string write(const std::string& name, const std::string& text, mode_t mode = 0600) const {
        const std::string path = path_ + "/" + name;
        std::filesystem::create_directories(std::filesystem::path(path).parent_path());
        std::ofstream(path) << text;
        chmod(path.c_str(), mode);
        return path;
    }

private:
    std::string path_;
};

}  // namespace oneknock::test
