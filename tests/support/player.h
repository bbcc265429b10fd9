/* player: reads a finished video as a strict player or validator does. Believes no program of
 * ours: only the files, and ffprobe's packets of them.
 *
 * RFC 8216 and Apple's authoring rules: every playlist is a whole VOD playlist with the target
 * duration of the others, no segment is longer, empty or without its pictures; EXTINF says when the
 * next one begins; each begins with a keyframe. BANDWIDTH and AVERAGE-BANDWIDTH are within 10 % of
 * what is measured, CODECS and RESOLUTION are those of the streams. All renditions begin and end
 * together; those that were encoded have their keyframes at the same times. manifest.mpd says of
 * each what the playlists say. */
#ifndef SUPPORT_PLAYER_H
#define SUPPORT_PLAYER_H

#include <stdbool.h>

/* directory: the one with master.m3u8. */
void player_reads(const char *directory); /* a complaint fails the test */
/* The first complaint, owned; NULL: there is none. */
char *player_complaint(const char *directory);

#endif
