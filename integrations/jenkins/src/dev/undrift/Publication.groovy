package dev.undrift

/** One call of `undrift publish`: a map of Groovy becomes a command line that a shell reads as it is meant. */
class Publication implements Serializable {
    private static final long serialVersionUID = 1L

    static final List<String> KNOWN = [
        'application', 'arguments', 'config', 'credentialsId', 'deadline', 'directory', 'dryRun', 'forgeHost', 'images',
        'overwrite', 'sequence', 'set', 'stages',
    ]

    private final Map settings

    /** Fails for a setting that there is not: a misspelled one must not be left out silently. */
    Publication(Map settings) {
        this.settings = settings
        List<String> unknown = []
        for (Object key : settings.keySet()) {
            if (!KNOWN.contains(key.toString())) {
                unknown.add(key.toString())
            }
        }
        if (unknown) {
            throw new IllegalArgumentException("undriftPublish does not know ${unknown.join(', ')}; known are ${KNOWN.join(', ')}")
        }
    }

    /** The command line for `sh`; `sequence` is the number of the build unless the settings have one. */
    String command(String sequence) {
        List<String> words = ['undrift', 'publish']
        pairs(words, '--image', settings.images)
        pairs(words, '--set', settings.set)
        for (Object stage : (settings.stages ?: [])) {
            words.addAll(['--stage', stage.toString()])
        }
        words.addAll(['--sequence', (settings.sequence ?: sequence).toString()])
        option(words, '--application', settings.application)
        option(words, '--config', settings.config)
        option(words, '--deadline', settings.deadline)
        option(words, '-C', settings.directory)
        if (settings.dryRun) {
            words.add('--dry-run')
        }
        if (settings.overwrite) {
            words.add('--overwrite')
        }
        for (Object more : (settings.arguments ?: [])) {
            words.add(more.toString())
        }
        words.addAll(['--output', 'junit'])
        List<String> quoted = []
        for (String word : words) {
            quoted.add(quote(word))
        }
        return quoted.join(' ')
    }

    private static void pairs(List<String> words, String name, Object found) {
        Map given = (found ?: [:]) as Map
        for (Object key : given.keySet()) {
            words.addAll([name, key.toString() + '=' + given.get(key).toString()])
        }
    }

    private static void option(List<String> words, String name, Object value) {
        if (value) {
            words.addAll([name, value.toString()])
        }
    }

    /** A word that a POSIX shell takes as one, whatever is in it. */
    static String quote(String word) {
        return word ==~ /[A-Za-z0-9_.,:=@%+\/-]+/ ? word : "'" + word.replace("'", "'\\''") + "'"
    }
}
