/* A thermostat: its settings are one JSON document, read and written over a line, one request a line. */
#include "board.h"
#include "cJSON.h"
#include "cJSON_Utils.h"

#include <stdlib.h>
#include <string.h>

/* A request, with what ends it. */
static char line[512];
static cJSON *settings;

/* {"get": "/zones/0/target"} */
static cJSON *get(const cJSON *request)
{
    const char *path = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(request, "get"));
    cJSON *found = path ? cJSONUtils_GetPointerCaseSensitive(settings, path) : NULL;
    return found ? cJSON_Duplicate(found, 1) : NULL;
}

/* {"patch": [{"op": "replace", "path": "/zones/0/target", "value": 19.5}]} */
static cJSON *patch(const cJSON *request)
{
    const cJSON *patches = cJSON_GetObjectItemCaseSensitive(request, "patch");
    return cJSON_CreateBool(cJSONUtils_ApplyPatchesCaseSensitive(settings, patches) == 0);
}

/* {"name": "attic"} */
static cJSON *name(const cJSON *request)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(request, "name"));
    return cJSON_CreateBool(cJSON_SetValuestring(cJSON_GetObjectItem(settings, "name"), text) != NULL);
}

/* {"insert": 1, "zone": {"target": 20}} */
static cJSON *insert(cJSON *request)
{
    const double at = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(request, "insert"));
    cJSON *zone = cJSON_DetachItemFromObjectCaseSensitive(request, "zone");
    cJSON *zones = cJSON_GetObjectItemCaseSensitive(settings, "zones");
    if (!cJSON_InsertItemInArray(zones, (int)at, zone)) {
        cJSON_Delete(zone);
        return cJSON_CreateFalse();
    }
    return cJSON_CreateTrue();
}

static cJSON *answer(cJSON *request)
{
    if (cJSON_HasObjectItem(request, "get")) {
        return get(request);
    }
    if (cJSON_HasObjectItem(request, "patch")) {
        return patch(request);
    }
    if (cJSON_HasObjectItem(request, "name")) {
        return name(request);
    }
    if (cJSON_HasObjectItem(request, "insert")) {
        return insert(request);
    }
    return NULL;
}

int main(void)
{
    settings = cJSON_Parse("{\"name\":\"hall\",\"zones\":[{\"target\":20.5},{\"target\":18}]}");
    for (;;) {
        size_t length = 0;
        for (char byte; (byte = (char)board_receive()) != '\n';) {
            if (length < sizeof line) {
                line[length++] = byte;
            }
        }
        cJSON *request = cJSON_ParseWithLength(line, length);
        cJSON *reply = request ? answer(request) : NULL;
        char *text = cJSON_PrintUnformatted(reply);
        board_send(text ? text : "null");
        board_send("\n");
        free(text);
        cJSON_Delete(reply);
        cJSON_Delete(request);
    }
}
