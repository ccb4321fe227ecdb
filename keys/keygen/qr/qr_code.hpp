// A text as a QR code: for a terminal, or as a picture (libqrencode and libpng behind it).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "common/result.hpp"

namespace oneknock::keygen {

class QrCode {
public:
    // The smallest code that holds the text, with the least redundancy: what shows it is undamaged. ExitCode::data
    // where none holds it.
    [[nodiscard]] static Result<QrCode> of(const std::string& text);

    // Modules in a row, and as many rows; without the white margin.
    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] bool is_dark(std::size_t row, std::size_t column) const { return dark_[row * size_ + column]; }

private:
    QrCode(std::size_t size, std::vector<bool> dark) : size_(size), dark_(std::move(dark)) {}

    std::size_t size_;
    std::vector<bool> dark_;
};

// The white frame that readers need around the code (ISO/IEC 18004), in modules.
inline constexpr std::size_t qr_margin = 4;

// Lines of half blocks in UTF-8, two rows in each, with the margin. Light modules are drawn, as on a dark terminal;
// with `colours` they are white on black on any.
[[nodiscard]] std::string terminal_text(const QrCode& code, bool colours);

// The same as a PNG file, grey.
[[nodiscard]] Result<std::vector<std::uint8_t>> png_picture(const QrCode& code);

}  // namespace oneknock::keygen
