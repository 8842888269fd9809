#include "yaml.hpp"

#include <yaml.h>

#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <regex>
#include <set>

#include "files.hpp"

namespace amp::plugin {
namespace {

constexpr size_t kMostBytes = 256 * 1024;
constexpr int kMostLevels = 16;

using juce::String;
using juce::var;

std::string text_of(const yaml_char_t* text) {
  return reinterpret_cast<const char*>(text);  // NOLINT: libyaml's letters are unsigned
}

std::optional<double> number_of(const std::string& text) {
  static const std::regex form("[-+]?([0-9]+\\.?[0-9]*|\\.[0-9]+)([eE][-+]?[0-9]+)?");
  if (text.size() > 64 || !std::regex_match(text, form)) return std::nullopt;
  const double value = String(text).getDoubleValue();
  return std::isfinite(value) ? std::optional(value) : std::nullopt;
}

/// Builds the value from the events one by one: nothing of a file that is refused later grows
/// larger than the file.
class Reader {
 public:
  Reader(const std::string& text, std::string place) : place_(std::move(place)) {
    if (text.size() > kMostBytes) throw Refused(place_ + ": the file is larger than 256 kB.");
    if (yaml_parser_initialize(&parser_) == 0) throw std::bad_alloc();
    yaml_parser_set_encoding(&parser_, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser_, reinterpret_cast<const yaml_char_t*>(text.data()),
                                 text.size());
  }
  ~Reader() {
    yaml_event_delete(&event_);
    yaml_parser_delete(&parser_);
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  var document() {
    next();
    if (next() == YAML_STREAM_END_EVENT) return {};
    next();
    var value = node(0);
    next();
    if (next() != YAML_STREAM_END_EVENT) fail("expected one document");
    return value;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw Refused(place_ + ":" + std::to_string(event_.start_mark.line + 1) + ": " + what + ".");
  }

  yaml_event_type_t next() {
    yaml_event_delete(&event_);
    if (yaml_parser_parse(&parser_, &event_) != 0) return event_.type;
    event_ = {};
    event_.start_mark = parser_.problem_mark;
    fail(std::string("not YAML: ") + (parser_.problem != nullptr ? parser_.problem : "no memory"));
  }

  /// The node that the present event begins; the present event is its last one then.
  var node(int level) {
    switch (event_.type) {
      case YAML_SCALAR_EVENT: {
        const auto& is = event_.data.scalar;
        refuse_marks(is.anchor, is.tag);
        return is.style == YAML_PLAIN_SCALAR_STYLE
                   ? plain(text_of(is.value))
                   : var(String::fromUTF8(text_of(is.value).c_str()));
      }
      case YAML_SEQUENCE_START_EVENT: {
        const auto& is = event_.data.sequence_start;
        refuse_marks(is.anchor, is.tag);
        return list(level);
      }
      case YAML_MAPPING_START_EVENT: {
        const auto& is = event_.data.mapping_start;
        refuse_marks(is.anchor, is.tag);
        return mapping(level);
      }
      default:
        fail("anchors and aliases are not allowed; write it out");
    }
  }

  var list(int level) {
    if (level >= kMostLevels) fail("nested deeper than 16 levels");
    juce::Array<var> items;
    while (next() != YAML_SEQUENCE_END_EVENT) items.add(node(level + 1));
    return items;
  }

  var mapping(int level) {
    if (level >= kMostLevels) fail("nested deeper than 16 levels");
    auto* object = new juce::DynamicObject();
    const var value(object);
    std::set<std::string> keys;
    while (next() != YAML_MAPPING_END_EVENT) {
      const std::string key = take_key(keys);
      next();
      object->setProperty(String::fromUTF8(key.c_str()), node(level + 1));
    }
    return value;
  }

  std::string take_key(std::set<std::string>& keys) const {
    if (event_.type != YAML_SCALAR_EVENT) fail("a key is no word");
    const auto& is = event_.data.scalar;
    refuse_marks(is.anchor, is.tag);
    std::string key = text_of(is.value);
    if (key == "<<") fail("merge keys are not allowed; write it out");
    if (key.empty()) fail("a key is empty");
    const auto number = number_of(key);  // 5 and 5.0 are one key once they are read
    if (!keys.insert(number ? std::to_string(*number) : key).second)
      fail("key " + key + " stands twice; remove one");
    return key;
  }

  void refuse_marks(const yaml_char_t* anchor, const yaml_char_t* tag) const {
    if (anchor != nullptr) fail("anchors and aliases are not allowed; write it out");
    if (tag != nullptr) fail("tags are not allowed; write a plain value");
  }

  [[nodiscard]] static var plain(const std::string& text) {
    const String lower = String::fromUTF8(text.c_str()).toLowerCase();
    if (lower.isEmpty() || lower == "null" || lower == "~") return {};
    if (juce::StringArray{"true", "yes", "on"}.contains(lower)) return true;
    if (juce::StringArray{"false", "no", "off"}.contains(lower)) return false;
    if (const auto number = number_of(text)) return *number;
    return String::fromUTF8(text.c_str());
  }

  std::string place_;
  yaml_parser_t parser_{};
  yaml_event_t event_{};
};

}  // namespace

var read_yaml(const String& text, const std::string& place) {
  return Reader(text.toStdString(), place).document();
}

String as_yaml(const String& text) {
  const bool plain = text.isNotEmpty() && text.containsOnly(
                                              "abcdefghijklmnopqrstuvwxyz"
                                              "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                              "._-/");
  const bool is_word = plain && juce::CharacterFunctions::isLetter(text[0]);
  const juce::StringArray taken{"true", "false", "yes", "no", "on", "off", "null", "y", "n"};
  if (is_word && !taken.contains(text, true)) return text;
  return juce::JSON::toString(var(text));
}

String decimal(float value) {
  std::array<char, 64> text{};
  const auto result =
      std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  return String(text.data(), static_cast<size_t>(result.ptr - text.data()));
}

}  // namespace amp::plugin
