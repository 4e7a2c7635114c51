/* The text of options with rules: words, conditions and names, separated by commas and semicolons.
 * In names, %XX stands for any character. Private to this room. */
#ifndef SLUICE_CONFIG_RULE_TEXT_H
#define SLUICE_CONFIG_RULE_TEXT_H

#include <stdbool.h>

/* A part of the option's text. */
struct rule_text {
    const char *pos;
    const char *end;
};

/* Takes the text before the separator, or all of it, without the spaces around it. */
struct rule_text rule_take(struct rule_text *rest, char separator);
/* Takes the next rule that is not empty, up to a semicolon. False at the end. */
bool rule_take_next(struct rule_text *rest, struct rule_text *rule);
/* Reads "application=NAME" or "user=NAME" into the part that it names. False if it is neither, or
 * the part is set already. */
bool rule_read_condition(struct rule_text condition, struct rule_text *application,
                         struct rule_text *user);
/* Takes a word at the beginning. */
bool rule_take_word(struct rule_text *rest, const char *word);
/* False if it is empty, or has a broken or zero %XX. */
bool rule_is_name(struct rule_text name);
bool rule_is_equal(struct rule_text name, const char *text);

#endif
