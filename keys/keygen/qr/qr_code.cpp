#include "keys/keygen/qr/qr_code.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>

#include <png.h>
#include <qrencode.h>

namespace oneknock::keygen {
namespace {

constexpr std::size_t pixels = 8;  // of a module's side
constexpr std::uint8_t white = 0xff;
constexpr std::uint8_t black = 0;

// Of the code with its margin.
std::size_t whole_size(const QrCode& code) { return code.size() + 2 * qr_margin; }

// Coordinates count from the margin's corner; beyond it all is light.
bool is_light(const QrCode& code, std::size_t row, std::size_t column) {
    const auto is_inside = [&](std::size_t at) { return at >= qr_margin && at < qr_margin + code.size(); };
    return !is_inside(row) || !is_inside(column) || !code.is_dark(row - qr_margin, column - qr_margin);
}

std::string_view half_blocks(bool upper, bool lower) {
    constexpr std::array<std::string_view, 4> glyphs{" ", "\u2584", "\u2580", "\u2588"};
    return glyphs[(upper ? 2U : 0U) + (lower ? 1U : 0U)];
}

std::vector<std::uint8_t> grey_pixels(const QrCode& code) {
    const std::size_t width = whole_size(code) * pixels;
    std::vector<std::uint8_t> grey(width * width);
    for (std::size_t at = 0; at < grey.size(); ++at)
        grey[at] = is_light(code, at / width / pixels, at % width / pixels) ? white : black;
    return grey;
}

}  // namespace

Result<QrCode> QrCode::of(const std::string& text) {
    const std::unique_ptr<QRcode, void (*)(QRcode*)> made(QRcode_encodeString8bit(text.c_str(), 0, QR_ECLEVEL_L),
                                                          QRcode_free);
    if (!made) return fail(ExitCode::data, "no QR code holds " + std::to_string(text.size()) + " characters");
    const auto size = static_cast<std::size_t>(made->width);
    std::vector<bool> dark(size * size);
    std::transform(made->data, made->data + dark.size(), dark.begin(), [](auto module) { return (module & 1) != 0; });
    return QrCode(size, std::move(dark));
}

std::string terminal_text(const QrCode& code, bool colours) {
    std::string text;
    for (std::size_t row = 0; row < whole_size(code); row += 2) {
        if (colours) text += "\033[97;40m";  // bright white on black
        for (std::size_t column = 0; column < whole_size(code); ++column)
            text += half_blocks(is_light(code, row, column), is_light(code, row + 1, column));
        text += colours ? "\033[0m\n" : "\n";
    }
    return text;
}

Result<std::vector<std::uint8_t>> png_picture(const QrCode& code) {
    const auto grey = grey_pixels(code);
    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    image.format = PNG_FORMAT_GRAY;
    image.width = image.height = static_cast<png_uint_32>(whole_size(code) * pixels);
    png_alloc_size_t length = PNG_IMAGE_PNG_SIZE_MAX(image);  // what incompressible pixels would take
    std::vector<std::uint8_t> picture(length);
    if (png_image_write_to_memory(&image, picture.data(), &length, 0, grey.data(), 0, nullptr) == 0)
        return fail(ExitCode::system, std::string("cannot make the picture: ") + image.message);
    picture.resize(length);
    return picture;
}

}  // namespace oneknock::keygen
